import { isAbsolute, join } from "node:path";
import { launchdService, systemdService } from "../lib/backup/schedule.ts";
import { defaultHome } from "../lib/base/home.ts";
import { selfCommand } from "../lib/base/runtime.ts";
import { configDirectory } from "../lib/client/config.ts";
import type { Context } from "./_kit.ts";

/** Where the service of this user is written, what it says, and how it is switched on and off. */
export interface ServicePlan {
  path: string;
  text: string;
  on: string[][];
  /** Succeeds while the service runs. */
  isOn: string[][];
  off: string[][];
  /** What it takes to run while nobody is logged in; null where nothing more is needed. */
  linger: string | null;
}

/**
 * Variables that decide where things lie, as far as they are set: no scheduler would have them, nor this working directory.
 * A relative XDG path is ignored, as its standard asks.
 */
export function placesEnv({ env }: Context): Record<string, string> {
  const xdg = ["XDG_DATA_HOME", "XDG_CONFIG_HOME"];
  return {
    ...(env.SYNCROPEL_HOME ? { SYNCROPEL_HOME: defaultHome(env) } : {}),
    ...Object.fromEntries(
      xdg.flatMap((name) => (env[name] && isAbsolute(env[name]) ? [[name, env[name]]] : [])),
    ),
  };
}

export function servicePlan(ctx: Context, platform: NodeJS.Platform = process.platform): ServicePlan {
  const command = [...selfCommand(), "serve"];
  const env = placesEnv(ctx);
  if (platform === "darwin") {
    const path = join(ctx.env.HOME ?? "/", "Library", "LaunchAgents", "com.syncropel.spl.plist");
    const domain = `gui/${process.getuid?.() ?? 0}`;
    return {
      path,
      text: launchdService(command, env),
      on: [["launchctl", "bootstrap", domain, path]],
      isOn: [["launchctl", "print", `${domain}/com.syncropel.spl`]],
      off: [["launchctl", "bootout", `${domain}/com.syncropel.spl`]],
      linger: null,
    };
  }
  const systemctl = (...words: string[]) => ["systemctl", "--user", ...words];
  return {
    path: join(configDirectory(ctx.env), "..", "systemd", "user", "spl.service"),
    text: systemdService(command, env),
    on: [systemctl("daemon-reload"), systemctl("enable", "--now", "spl.service")],
    isOn: [systemctl("is-active", "--quiet", "spl.service")],
    off: [systemctl("disable", "--now", "spl.service"), systemctl("daemon-reload")],
    linger: "loginctl enable-linger",
  };
}

/** Runs the commands one after the other; false as soon as one is missing or fails. */
export function runAll(commands: readonly string[][], env: Context["env"]): boolean {
  return commands.every((command) => {
    if (!Bun.which(command[0]!, { PATH: env.PATH ?? "" })) return false;
    return Bun.spawnSync(command, { env, stdio: ["ignore", "ignore", "ignore"] }).exitCode === 0;
  });
}

export function typed(commands: readonly string[][]): string {
  return commands.map((command) => command.join(" ")).join(" && ");
}
