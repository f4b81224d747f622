import { parseDuration } from "../../lib/base/duration.ts";
import { SplError } from "../../lib/base/errors.ts";
import { hostHome } from "../../lib/base/home.ts";
import { safeText } from "../../lib/base/safe_text.ts";
import { readBaseUrl } from "../../lib/client/config.ts";
import type { Signup } from "../../lib/hosting/hosting.ts";
import { DEFAULT_DEADLINES, DEFAULT_PLANS, parsePlans } from "../../lib/hosting/plans.ts";
import type { DriverChoice, HostServeOptions } from "../../server/hosting/serve.ts";
import { aborted, watcher } from "../_foreground.ts";
import { type ArgValues, type Context, defineSpl, printResult, runAlone } from "../_kit.ts";

const DEFAULT_PORT = 9200;

const args = {
  domain: {
    type: "string",
    required: true,
    valueHint: "DOMAIN",
    description: "the service's name; instances are at LABEL.DOMAIN",
  },
  driver: {
    type: "enum",
    options: ["process", "fly"] as ("process" | "fly")[],
    default: "process",
    description: "where instances run: as processes here, or on Fly Machines",
  },
  host: { type: "string", valueHint: "ADDRESS", description: "address to listen on (else 127.0.0.1)" },
  port: {
    type: "string",
    valueHint: "PORTS",
    description: `ports to listen on, separated by commas; the first stands in URLs (else ${DEFAULT_PORT})`,
  },
  publicUrl: {
    type: "string",
    valueHint: "URL",
    description: "origin of the service, if not that of domain and first port",
  },
  tlsCert: {
    type: "string",
    valueHint: "FILE",
    description: "serve https with this certificate, for DOMAIN and *.DOMAIN (PEM)",
  },
  tlsKey: { type: "string", valueHint: "FILE", description: "the certificate's private key (PEM)" },
  paths: {
    type: "boolean",
    description: "instances at DOMAIN/i/LABEL, for machines without wildcard names (API only)",
  },
  signup: {
    type: "enum",
    options: ["open", "invite", "closed"] as Signup[],
    description: "who may start an instance (else open on a loopback address, invite elsewhere)",
  },
  plans: {
    type: "string",
    valueHint: "PLANS",
    description: "NAME:CPUS:MEMORY_MB:DISK_GB, separated by commas (else free:1:256:1)",
  },
  maxInstances: { type: "string", valueHint: "N", description: "instances at one time (else 1000)" },
  maxPerOwner: { type: "string", valueHint: "N", description: "instances of one owner (else 3)" },
  idle: {
    type: "string",
    valueHint: "DURATION",
    description: "an instance sleeps after so long without a request (else 15m; never)",
  },
  trustedProxy: {
    type: "string",
    valueHint: "NETWORKS",
    description: "who may say in X-Forwarded-For for whom a request comes, separated by commas",
  },
  allowNetworks: {
    type: "string",
    valueHint: "NETWORKS",
    description: "networks that instances may reach peers in, beside the public ones (driver process)",
  },
  flyOrg: { type: "string", valueHint: "ORG", description: "organisation on Fly (its token: FLY_API_TOKEN)" },
  flyImage: {
    type: "string",
    valueHint: "IMAGE",
    description: "image that runs spl (spl host print docker)",
  },
  flyRegions: { type: "string", valueHint: "REGIONS", description: "by preference, separated by commas" },
} as const;

type Args = ArgValues<typeof args>;

const command = defineSpl({
  name: "host serve",
  summary: "Run a hosting service: a page that makes instances, and the way to them",
  description:
    "In the foreground until SIGINT or SIGTERM, which stop its instances too. Everything of it is in SPL_HOST_HOME, else\n~/.syncro-host: host.db, keys, logs, and a home for each instance. Visitors begin at /start.",
  args,
  examples: [
    "spl host serve --domain localhost",
    "spl host serve --domain example.com --host 0.0.0.0 --port 443,9100 --tls-cert wild.pem --tls-key wild.key",
    "spl host serve --domain example.com --driver fly --fly-org me --fly-image registry.fly.io/spl:0.33.0 --fly-regions ams,fra",
  ],
  run: async (ctx, given) => {
    const options = await read(ctx, given);
    const { signal } = ctx;
    const { serveHost } = await import("../../server/hosting/serve.ts");
    const running = await serveHost({ ...options, ...(await watcher(ctx)) });
    try {
      const { stop: _, ...facts } = running;
      await printResult(ctx, facts, () => {
        const { url, driver, home } = facts;
        return `✓ hosting at ${safeText(url)}/start\n  driver: ${driver}\n  home:   ${safeText(home)}\n  pid:    ${facts.pid}\n`;
      });
      await aborted(signal);
    } finally {
      await running.stop();
    }
  },
});

/** Refuses what is wrong before anything is made. */
async function read(ctx: Context, given: Args): Promise<HostServeOptions> {
  const { networksOf } = await import("../../server/hosting/settings.ts");
  const { isLoopbackName } = await import("../../server/stages/host.ts");
  const { readTls } = await import("../../server/tls.ts");
  const { tlsCert, tlsKey, domain } = given;
  if (!/^(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[?[0-9a-f:]+\]?)$/.test(domain)) {
    throw new SplError("usage", `--domain ${domain} is no host name`, { hint: "lowercase, as example.com" });
  }
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw new SplError("usage", "--tls-cert and --tls-key go together", { hint: "give both or neither" });
  }
  const host = given.host ?? "127.0.0.1";
  const allow = networksOf(given.allowNetworks, "--allow-networks");
  const base = given.publicUrl === undefined ? null : readBaseUrl(given.publicUrl, "--public-url");
  if (base !== null && new URL(base).origin !== base) {
    throw new SplError("usage", `--public-url ${base} has a path`, {
      hint: "name scheme, host and port only",
    });
  }
  const numeric = /^[0-9.]+$|:/.test(domain);
  return {
    home: hostHome(ctx.env),
    host,
    ports: (given.port ?? `${DEFAULT_PORT}`).split(",").map((text) => count(text, "--port", 0, 65535)),
    tls: tlsCert === undefined || tlsKey === undefined ? null : readTls(tlsCert, tlsKey),
    domain,
    base,
    trusted: networksOf(given.trustedProxy, "--trusted-proxy"),
    driver: await driverOf(ctx, given, allow.length === 0 ? [] : given.allowNetworks!.split(",")),
    settings: {
      // An address has no subdomains.
      addressing: given.paths || numeric ? "path" : "host",
      plans: given.plans === undefined ? DEFAULT_PLANS : parsePlans(given.plans),
      signup: given.signup ?? (isLoopbackName(host) ? "open" : "invite"),
      most: count(given.maxInstances ?? "1000", "--max-instances", 1, 1_000_000),
      mostPerOwner: count(given.maxPerOwner ?? "3", "--max-per-owner", 1, 1_000_000),
      deadlines: DEFAULT_DEADLINES,
      idleMs: idle(given.idle ?? "15m"),
    },
  };
}

/** @throws SplError usage naming what is missing or cannot be */
async function driverOf(ctx: Context, given: Args, allowNetworks: string[]): Promise<DriverChoice> {
  if (given.driver === "process") return { name: "process", allowNetworks };
  const { flyOrg, flyImage, flyRegions } = given;
  const { FLY_API_TOKEN, FLY_FLAPS_BASE_URL } = ctx.env;
  const needed = (value: string | undefined, name: string): string => {
    if (value) return value;
    throw new SplError("usage", `${name} is missing`, {
      hint: "driver fly needs FLY_API_TOKEN, --fly-org, --fly-image and --fly-regions",
    });
  };
  const options = {
    token: needed(FLY_API_TOKEN, "FLY_API_TOKEN"),
    org: needed(flyOrg, "--fly-org"),
    image: needed(flyImage, "--fly-image"),
    regions: needed(flyRegions, "--fly-regions").split(","),
    ...(FLY_FLAPS_BASE_URL && { api: `${FLY_FLAPS_BASE_URL}/v1` }),
  };
  const { readOptions } = await import("../../lib/hosting/fly/options.ts");
  return { name: "fly", options: readOptions(options) };
}

function count(text: string, flag: string, least: number, most: number): number {
  const n = /^\d{1,7}$/.test(text.trim()) ? Number(text) : Number.NaN;
  if (n >= least && n <= most) return n;
  throw new SplError("usage", `${flag} ${text} is no number from ${least} to ${most}`);
}

function idle(text: string): number | null {
  if (text === "never") return null;
  const ms = parseDuration(text);
  if (ms !== null && ms >= 1000) return ms;
  throw new SplError("usage", `--idle ${text} is no duration of a second or more`, {
    hint: "write it as 15m, or never",
  });
}

export default command;
if (import.meta.main) await runAlone(command);
