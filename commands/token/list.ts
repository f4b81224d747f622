import { defineSpl, printList, runAlone, targetArgs } from "../_kit.ts";
import { connect } from "../_target.ts";

const command = defineSpl({
  name: "token list",
  summary: "List the tokens of an instance, oldest first",
  args: targetArgs,
  examples: ["spl token list", "spl token list -o json"],
  run: async (ctx, { url }) =>
    printList(
      ctx,
      await connect(ctx, { url }).tokens(),
      [
        { title: "ID", value: (row) => row.id },
        { title: "ACCOUNT", value: (row) => row.account, shrink: true },
        { title: "KIND", value: (row) => row.kind },
        { title: "STATE", value: (row) => row.state },
        { title: "EXPIRES", value: (row) => row.expires_at ?? "never" },
        { title: "LAST_USED", value: (row) => row.last_used_at ?? "never" },
        { title: "DESCRIPTION", value: (row) => row.description || "-", shrink: true },
      ],
      "no tokens yet; spl token create ACCOUNT mints one",
    ),
});

export default command;
if (import.meta.main) await runAlone(command);
