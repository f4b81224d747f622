import { defineSpl, printList, runAlone, targetArgs } from "../_kit.ts";
import { connect } from "../_target.ts";

const command = defineSpl({
  name: "thread list",
  summary: "List the threads of an instance",
  args: targetArgs,
  examples: ["spl thread list | head -10", "spl thread list -o json"],
  run: (ctx, { url }) =>
    printList(
      ctx,
      connect(ctx, { url }).threads(),
      [
        { title: "THREAD", value: (row) => row.thread, shrink: true },
        { title: "STATE", value: (row) => (row.state === "none" ? "-" : row.state) },
        { title: "RECORDS", value: (row) => row.records, align: "right" },
        { title: "CLOCK", value: (row) => row.clock, align: "right" },
        { title: "GOAL", value: (row) => row.goal ?? "-", shrink: true },
      ],
      "no threads yet; spl intend TEXT opens one",
    ),
});

export default command;
if (import.meta.main) await runAlone(command);
