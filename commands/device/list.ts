import { defineSpl, printList, runAlone, targetArgs } from "../_kit.ts";
import { connect } from "../_target.ts";

const command = defineSpl({
  name: "device list",
  summary: "List the devices of an instance, and how far each is",
  description:
    "waiting: its code was not used yet; redeemed: it has its token; connected: it has called; refused: its code was\nburned by wrong ones; elsewhere: it was paired on another host of this identity, and can be paired anew here.",
  args: targetArgs,
  examples: ["spl device list", "spl device list -o json"],
  run: async (ctx, { url }) =>
    printList(
      ctx,
      await connect(ctx, { url }).devices(),
      [
        { title: "DEVICE", value: (row) => row.device, shrink: true },
        { title: "STATE", value: (row) => row.state },
        { title: "SCOPES", value: (row) => row.scopes.join(" "), shrink: true },
        { title: "LAST_USED", value: (row) => row.last_used_at ?? "never" },
        { title: "ACCOUNT", value: (row) => row.account ?? "-", shrink: true },
      ],
      "no devices yet; spl pair --device NAME lets one in",
    ),
});

export default command;
if (import.meta.main) await runAlone(command);
