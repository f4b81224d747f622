import { defineSpl, printList, runAlone, targetArgs } from "../_kit.ts";
import { connect } from "../_target.ts";

const command = defineSpl({
  name: "namespace list",
  summary: "List the namespaces of an instance's threads, and whom each is shared with",
  args: targetArgs,
  examples: ["spl namespace list", "spl namespace list -o json"],
  run: async (ctx, { url }) =>
    printList(
      ctx,
      await connect(ctx, { url }).namespaces(),
      [
        { title: "NAMESPACE", value: (row) => row.namespace || "(none)", shrink: true },
        { title: "THREADS", value: (row) => `${row.threads}`, align: "right" },
        { title: "RECORDS", value: (row) => `${row.records}`, align: "right" },
        { title: "SHARED_WITH", value: (row) => row.shared_with.join(" ") || "nobody", shrink: true },
      ],
      "no namespaces yet",
    ),
});

export default command;
if (import.meta.main) await runAlone(command);
