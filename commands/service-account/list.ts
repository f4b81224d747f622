import { defineSpl, printList, runAlone, targetArgs } from "../_kit.ts";
import { connect } from "../_target.ts";

const command = defineSpl({
  name: "service-account list",
  summary: "List who may call over the network, by name",
  args: targetArgs,
  examples: ["spl service-account list", "spl service-account list -o json"],
  run: async (ctx, { url }) =>
    printList(
      ctx,
      await connect(ctx, { url }).serviceAccounts(),
      [
        { title: "NAME", value: (row) => row.name, shrink: true },
        { title: "KIND", value: (row) => row.kind },
        { title: "STATE", value: (row) => row.state },
        { title: "SCOPES", value: (row) => row.scopes.join(" "), shrink: true },
        { title: "ACTORS", value: (row) => row.actors.join(" ") || "any", shrink: true },
        { title: "DESCRIPTION", value: (row) => row.description || "-", shrink: true },
      ],
      "no accounts yet; spl service-account create --bootstrap --with-token makes the first",
    ),
});

export default command;
if (import.meta.main) await runAlone(command);
