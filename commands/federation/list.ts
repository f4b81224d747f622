import { defineSpl, printList, runAlone, targetArgs } from "../_kit.ts";
import { connect } from "../_target.ts";

const command = defineSpl({
  name: "federation list",
  summary: "List the instances that this one is paired with",
  args: targetArgs,
  examples: ["spl federation list", "spl federation list -o json"],
  run: async (ctx, { url }) =>
    printList(
      ctx,
      await connect(ctx, { url }).pairs(),
      [
        { title: "ID", value: (row) => row.id.slice(0, 12) },
        { title: "PEER", value: (row) => row.peer_did, shrink: true },
        { title: "URL", value: (row) => row.url ?? "-", shrink: true },
        { title: "STATE", value: (row) => row.state },
        { title: "LAST_SYNC", value: (row) => row.last_sync ?? "never" },
      ],
      "no pairs yet",
    ),
});

export default command;
if (import.meta.main) await runAlone(command);
