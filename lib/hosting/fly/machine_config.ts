import type { Json } from "../../record/types.ts";
import type { Machine, Plan } from "../types.ts";
import { type FlySettings, flyName } from "./options.ts";

/** `spl serve` on Fly: which name and port, what is mounted where, and how Fly looks after it. */

const PORT = 9100;
const MOUNT = "/data";
/** The name of Fly's own check of the instance. */
export const HEALTH = "health";

/** What Fly places volumes and machines by. */
export function guestOf({ cpus, memory_mb }: Plan) {
  return { cpu_kind: "shared", cpus, memory_mb };
}

/** The whole configuration of a new machine. Without secrets: whoever may list the machines may read it. */
export function machineConfig(
  machine: Machine,
  app: string,
  { image, autostop }: FlySettings,
  volume: string,
): Record<string, Json> {
  const { url, plan, id } = machine;
  const listen = ["--host", "0.0.0.0", "--port", `${PORT}`];
  return {
    image,
    // Plain http inside: Fly's proxy has the certificates, and calls by the app's own name.
    init: {
      entrypoint: ["spl"],
      cmd: ["serve", ...listen, "--public-url", url, "--allowed-hosts", flyName(app)],
    },
    // A folder of its own: the root of a volume has a lost+found.
    env: { SYNCROPEL_HOME: `${MOUNT}/syncro` },
    guest: guestOf(plan),
    mounts: [{ volume, path: MOUNT }],
    services: [
      {
        protocol: "tcp",
        internal_port: PORT,
        autostart: autostop,
        autostop: autostop ? "stop" : "off",
        ports: [
          { port: 80, handlers: ["http"], force_https: true },
          { port: 443, handlers: ["tls", "http"] },
          { port: PORT, handlers: ["tls", "http"] },
        ],
      },
    ],
    checks: {
      [HEALTH]: {
        type: "http",
        port: PORT,
        method: "GET",
        path: "/health",
        grace_period: "1s",
        interval: "5s",
        timeout: "4s",
      },
    },
    restart: { policy: "always" },
    stop_config: { signal: "SIGTERM", timeout: "30s" },
    metadata: { spl: id },
  };
}
