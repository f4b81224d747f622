import type { Clock } from "../../base/clock.ts";
import { SplError } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import type { Machine } from "../types.ts";

/** What an operator must have: an organization on Fly.io, a token of it, and an image with `spl` in its PATH. */
export interface FlyOptions {
  /** `fly tokens create org`: sent to `api` and nowhere else, never told in an error, kept in no handle. */
  token: string;
  /** The organization's slug; `personal` is the token holder's own. */
  org: string;
  /** Codes of regions (`iad`), the preferred one first. Where one is full the next is tried. */
  regions: readonly string[];
  /** `registry.fly.io/<app>:<tag>` or any public one; its `spl` is run as `spl serve`. */
  image: string;
  /** Before an instance's id in the name of its app; names of apps are unique among all of Fly's customers. */
  prefix?: string;
  /** Fly's own proxy stops idle machines and starts them at the next request; else the hosting service does. */
  autostop?: boolean;
  /** Base of the Machines API, https unless on loopback. */
  api?: string;
  /** Milliseconds that one answer of the API may take. */
  answerMs?: number;
  /** Seconds that one request waits for a machine's state; at most 60. */
  waitS?: number;
}

/** What the driver needs of where it runs. */
export interface FlyPorts {
  fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** Resolves after `ms` milliseconds, rejects when the signal aborts. */
  delay: (ms: number, signal: AbortSignal) => Promise<void>;
  clock: Clock;
  random: Random;
  /** The origin at which an app answers, else `https://<app>.fly.dev`. */
  reach?: (app: string) => string;
}

/** Options that have been checked, with their defaults. */
export type FlySettings = Required<FlyOptions>;

const DEFAULTS = {
  prefix: "spl-",
  autostop: false,
  api: "https://api.machines.dev/v1",
  answerMs: 30_000,
  waitS: 30,
};

/** @throws SplError usage naming the option, never the token */
export function readOptions(options: FlyOptions): FlySettings {
  const settings = { ...DEFAULTS, ...options };
  const { token, org, regions, image, prefix } = settings;
  // Visible ASCII: anything else could not be sent as a header.
  if (!/^[\x21-\x7e]+( [\x21-\x7e]+)?$/.test(token))
    throw wrong("the token", "fly tokens create org prints one");
  if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(org))
    throw wrong(`the organization ${JSON.stringify(org)}`, "fly orgs list");
  if (regions.length === 0 || !regions.every((region) => /^[a-z]{3}$/.test(region)))
    throw wrong(
      `the list of regions ${JSON.stringify(regions.join(","))}`,
      "fly platform regions shows their codes",
    );
  if (!/^[\w.:/@-]+$/.test(image))
    throw wrong(`the image ${JSON.stringify(image)}`, "registry.fly.io/<app>:<tag>");
  // 63 characters of a DNS label less the 16 of the id.
  if (!/^[a-z][a-z0-9-]{0,46}$/.test(prefix))
    throw wrong(`the prefix ${JSON.stringify(prefix)}`, "a-z, 0-9 and -");
  return { ...settings, api: readApi(settings.api) };
}

function readApi(text: string): string {
  const url = URL.parse(text);
  const plain = url?.protocol === "http:" && /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  if (url && (url.protocol === "https:" || plain) && !url.search && !url.hash && !url.username)
    return url.href.replace(/\/+$/, "");
  throw wrong(`the API's address ${JSON.stringify(text)}`, `it is ${DEFAULTS.api}`);
}

function wrong(what: string, hint: string): SplError {
  return new SplError("usage", `fly driver: ${what} is not of the right form`, { hint });
}

/** The name of the machine's app, and of the machine in it. */
export function appOf({ prefix }: FlySettings, { id }: Machine): string {
  return prefix + id;
}

/** Where its app answers to the world, as Fly names it. */
export function flyName(app: string): string {
  return `${app}.fly.dev`;
}
