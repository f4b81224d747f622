import { HostClient } from "../../lib/client/host_client.ts";
import { defineSpl, printList, runAlone } from "../_kit.ts";

const command = defineSpl({
  name: "host list",
  summary: "List the instances of this machine's hosting service",
  examples: ["spl host list", "spl host list -o json"],
  run: async (ctx) => {
    await printList(
      ctx,
      await new HostClient(ctx.env).instances(),
      [
        { title: "LABEL", value: (row) => row.label },
        { title: "STATE", value: (row) => row.state },
        { title: "PLAN", value: (row) => row.plan },
        { title: "REQUESTS", value: (row) => `${row.requests}` },
        { title: "SINCE", value: (row) => row.created_at },
        { title: "URL", value: (row) => row.url, shrink: true },
      ],
      "no instances yet; the service's /start page makes one",
    );
  },
});

export default command;
if (import.meta.main) await runAlone(command);
