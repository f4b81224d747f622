import { defineSpl, printList, runAlone, targetArgs } from "../_kit.ts";
import { connect } from "../_target.ts";

const command = defineSpl({
  name: "consent list",
  summary: "List which namespaces are shared with which pairs",
  description: "The namespace default is shared with every pair by its approval, and not listed.",
  args: targetArgs,
  examples: ["spl consent list", "spl consent list -o json"],
  run: async (ctx, { url }) =>
    printList(
      ctx,
      await connect(ctx, { url }).grants(),
      [
        { title: "ID", value: (row) => row.id.slice(0, 12) },
        { title: "NAMESPACE", value: (row) => row.from, shrink: true },
        { title: "TO", value: (row) => row.to, shrink: true },
      ],
      "no grants: pairs share the namespace default only",
    ),
});

export default command;
if (import.meta.main) await runAlone(command);
