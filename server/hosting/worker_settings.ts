import { fromHex } from "../../lib/base/bytes.ts";
import { SplError } from "../../lib/base/errors.ts";
import { type FlyOptions, readOptions } from "../../lib/hosting/fly/options.ts";
import type { HostingSettings, Signup } from "../../lib/hosting/hosting.ts";
import { DEFAULT_DEADLINES, DEFAULT_PLANS, parsePlans } from "../../lib/hosting/plans.ts";
import type { D1Binding } from "./d1.ts";

/** What a Worker is told in its configuration: bindings, secrets and variables. */
export interface WorkerEnv {
  /** A D1 database of its own; it makes its tables itself. */
  DB: D1Binding;
  /** Secret, 64 hex digits: links follow from it (`openssl rand -hex 32`). With another one, open links are void. */
  HOST_KEY: string;
  /** Secret: `fly tokens create org`. */
  FLY_API_TOKEN: string;
  /** Origin of the service, as `https://example.com`: routes to the Worker are `example.com/*` and `*.example.com/*`. */
  BASE_URL: string;
  /** The organization's slug on Fly. */
  FLY_ORG: string;
  /** Image that runs `spl` (`spl host print docker`). */
  FLY_IMAGE: string;
  /** By preference, separated by commas. */
  FLY_REGIONS: string;
  /** Base of the Machines API, if not Fly's own. */
  FLY_API_BASE?: string;
  /** `path`: instances at `<BASE_URL>/i/<label>`, where there are no wildcard names; else `host`. */
  ADDRESSING?: string;
  /** `open`, `invite` or `closed`; else `invite`. */
  SIGNUP?: string;
  /** `NAME:CPUS:MEMORY_MB:DISK_GB`, separated by commas; else `free:1:256:1`. */
  PLANS?: string;
  /** Instances at one time; else 1000. */
  MAX_INSTANCES?: string;
  /** Instances of one owner; else 3. */
  MAX_PER_OWNER?: string;
  /** Seconds that a new machine may take to answer; else 120. */
  BOOT_SECONDS?: string;
}

export interface WorkerSettings {
  settings: HostingSettings;
  fly: FlyOptions;
  key: Uint8Array;
}

/** @throws SplError usage naming the variable, never a secret */
export function readWorkerEnv(env: WorkerEnv): WorkerSettings {
  const bootMs = count(env, "BOOT_SECONDS", DEFAULT_DEADLINES.boot / 1000) * 1000;
  const fly: FlyOptions = {
    token: needed(env, "FLY_API_TOKEN"),
    org: needed(env, "FLY_ORG"),
    image: needed(env, "FLY_IMAGE"),
    regions: needed(env, "FLY_REGIONS").split(","),
    autostop: true,
    ...(env.FLY_API_BASE && { api: env.FLY_API_BASE }),
  };
  return {
    settings: {
      base: readBase(needed(env, "BASE_URL")),
      addressing: oneOf(env, "ADDRESSING", ["host", "path"] as const),
      signup: oneOf(env, "SIGNUP", ["invite", "open", "closed"] as const satisfies readonly Signup[]),
      plans: env.PLANS ? parsePlans(env.PLANS) : DEFAULT_PLANS,
      most: count(env, "MAX_INSTANCES", 1000),
      mostPerOwner: count(env, "MAX_PER_OWNER", 3),
      deadlines: { ...DEFAULT_DEADLINES, boot: bootMs },
      idleMs: null,
    },
    fly: readOptions(fly),
    key: readKey(needed(env, "HOST_KEY")),
  };
}

type Text = Exclude<keyof WorkerEnv, "DB">;

function needed(env: WorkerEnv, name: Text): string {
  const value = env[name];
  if (value) return value;
  throw new SplError("usage", `the Worker's variable or secret ${name} is missing`);
}

function readBase(text: string): string {
  const url = URL.parse(text);
  if (url?.origin === text && /^https?:$/.test(url.protocol)) return text;
  throw wrong("BASE_URL", "an origin without a slash at its end, as https://example.com");
}

function readKey(text: string): Uint8Array {
  const key = fromHex(text.trim().toLowerCase(), 32);
  if (key) return key;
  throw wrong("HOST_KEY", "64 hex digits (openssl rand -hex 32)");
}

/** The first one unless said otherwise. */
function oneOf<const T extends string>(env: WorkerEnv, name: Text, values: readonly [T, ...T[]]): T {
  const text = env[name] || values[0];
  const found = values.find((value) => value === text);
  if (found !== undefined) return found;
  throw wrong(name, values.join(", "));
}

function count(env: WorkerEnv, name: Text, otherwise: number): number {
  const n = Number(env[name] || otherwise);
  if (Number.isInteger(n) && n >= 1 && n <= 1_000_000) return n;
  throw wrong(name, "a number from 1 to 1000000");
}

function wrong(name: Text, form: string): SplError {
  return new SplError("usage", `the Worker's ${name} is not of the right form`, { hint: form });
}
