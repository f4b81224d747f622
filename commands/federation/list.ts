import { defineSpl, printList, runAlone, targetArgs } from "../_kit.ts";
import { approvalNote } from "../_pair_facts.ts";
import { connect } from "../_target.ts";

const command = defineSpl({
  name: "federation list",
  summary: "List the instances that this one is paired with, or that ask to be",
  description:
    "establishing: not approved yet; degraded: active, and the last sync failed (spl federation show tells why).",
  args: targetArgs,
  examples: ["spl federation list", "spl federation list -o json"],
  run: async (ctx, { url }) => {
    const pairs = await connect(ctx, { url }).pairs();
    await printList(
      ctx,
      pairs,
      [
        { title: "ID", value: (row) => row.id.slice(0, 12) },
        { title: "PEER", value: (row) => row.peer_did, shrink: true },
        { title: "URL", value: (row) => row.url ?? "-", shrink: true },
        { title: "STATE", value: (row) => row.state },
        { title: "LAST_SYNC", value: (row) => row.last_sync ?? "never" },
      ],
      "no pairs; spl federation pair URL asks for one",
    );
    if (ctx.output !== "text") return;
    for (const pair of pairs) if (pair.approval === "here") await ctx.err.line(approvalNote(pair)!);
  },
});

export default command;
if (import.meta.main) await runAlone(command);
