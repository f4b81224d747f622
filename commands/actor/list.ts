import { defineSpl, printList, runAlone, targetArgs } from "../_kit.ts";
import { connect } from "../_target.ts";

const command = defineSpl({
  name: "actor list",
  summary: "List who wrote records or is registered",
  args: targetArgs,
  examples: ["spl actor list", "spl actor list -o json"],
  run: (ctx, { url }) =>
    printList(
      ctx,
      connect(ctx, { url }).actors(),
      [
        { title: "ACTOR", value: (row) => row.actor, shrink: true },
        { title: "NAME", value: (row) => row.name ?? "-", shrink: true },
        { title: "RECORDS", value: (row) => row.records, align: "right" },
        { title: "REGISTERED", value: (row) => (row.registered ? "yes" : "no") },
      ],
      "no actors yet; spl intend TEXT writes a first record",
    ),
});

export default command;
if (import.meta.main) await runAlone(command);
