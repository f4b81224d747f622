import { resolve } from "node:path";
import { SplError } from "../lib/base/errors.ts";
import { defaultHome, homePaths } from "../lib/base/home.ts";
import { safeText } from "../lib/base/safe_text.ts";
import { readBaseUrl } from "../lib/client/config.ts";
import { checkInstanceName } from "../lib/identity/did.ts";
import { bootstrapHash, leaveBootstrapBehind } from "./_bootstrap.ts";
import { startDaemon, stopDaemon } from "./_daemon.ts";
import { aborted, watcher } from "./_foreground.ts";
import { type ArgValues, type Context, defineSpl, printResult, runAlone } from "./_kit.ts";

/** Arguments of an instance that is about to run. */
export const serveArgs = {
  host: { type: "string", valueHint: "ADDRESS", description: "address to listen on (else 127.0.0.1)" },
  port: {
    type: "string",
    valueHint: "PORT",
    description: "port to listen on, 0 for any free one (else 9100)",
  },
  publicUrl: {
    type: "string",
    valueHint: "URL",
    description: "where others reach this instance, if not at the address it listens on",
  },
  allowedHosts: {
    type: "string",
    valueHint: "NAMES",
    description: "names that it answers to as well, as behind a proxy, separated by commas",
  },
  tlsCert: {
    type: "string",
    valueHint: "FILE",
    description: "serve https with this certificate and its chain (PEM)",
  },
  tlsKey: { type: "string", valueHint: "FILE", description: "the certificate's private key (PEM)" },
  insecureLocalhost: {
    type: "boolean",
    description: "let everyone on this machine do anything over TCP, without a token",
  },
  isolated: { type: "boolean", description: "connect to nobody: for drills and rehearsals" },
  directory: {
    type: "boolean",
    description: "serve a directory too: it tells where the instances live that publish to it",
  },
  reclaim: {
    type: "boolean",
    description:
      "take the identity back to this home if another has taken it over; that one becomes read-only",
  },
  name: {
    type: "string",
    valueHint: "NAME",
    description: "the DID's name part, if the instance is new (else local)",
  },
} as const;

type ServeArgs = ArgValues<typeof serveArgs>;

const command = defineSpl({
  name: "serve",
  summary: "Run the instance of this home; make it first if there is none",
  description:
    "In the foreground until SIGINT, SIGTERM or SIGHUP, unless --daemon. The home is SYNCROPEL_HOME, else ~/.syncro; its\nconfig.toml may set listen.host, listen.port, public_url, tls.cert, tls.key, allowed_hosts,\nallowed_origins, directory (the URL of the one to ask and to publish to), federation.allow_networks,\nfederation.auto_approve and federation.watch_s. SPL_BOOTSTRAP_TOKEN names a bootstrap token, or its SHA-256, for a hosted\ninstance: it works once, within an hour of the start that first named it.",
  args: {
    daemon: { type: "boolean", description: "run in the background; return once it answers" },
    stop: { type: "boolean", description: "end the daemon of this home; nothing to do is no error" },
    untilEof: {
      type: "boolean",
      description: "end as well when standard input ends, and so with whoever holds its other end",
    },
    ...serveArgs,
  },
  examples: [
    "spl serve --daemon",
    "spl serve --stop",
    "spl serve --host 0.0.0.0 --tls-cert box.pem --tls-key box.key --public-url https://box.example.com:9100",
  ],
  run: (ctx, args) => {
    if (args.stop) {
      const others = ["daemon", "untilEof", ...Object.keys(serveArgs)] as (keyof typeof args)[];
      if (others.some((name) => args[name] !== undefined && args[name] !== false)) {
        throw new SplError("usage", "--stop goes with no other flag");
      }
      return stop(ctx);
    }
    if (args.daemon && args.untilEof) {
      throw new SplError("usage", "--until-eof does not go with --daemon, which has no standard input");
    }
    return args.daemon ? start(ctx, args) : foreground(ctx, args);
  },
});

async function foreground(ctx: Context, args: ServeArgs & { untilEof: boolean }): Promise<void> {
  const port = check(args);
  const bootstrap = bootstrapHash(ctx.env);
  leaveBootstrapBehind(
    ["serve", ...flagsOf(args), ...(args.untilEof ? ["--until-eof"] : []), "--output", ctx.output],
    ctx.env,
  );
  // Asked for before anything is opened, so that an early signal ends it in order as well.
  const { signal } = ctx;
  await warn(ctx, args);
  const { serve } = await import("../server/serve.ts");
  const echo = await watcher(ctx);
  const running = await serve({
    ...args,
    ...echo,
    port,
    bootstrap,
    env: ctx.env,
    home: defaultHome(ctx.env),
  });
  try {
    const { stop: _, ...facts } = running;
    await printResult(ctx, facts, () => describe(facts));
    await Promise.race([aborted(signal), ...(args.untilEof ? [endOfInput()] : [])]);
  } finally {
    await running.stop();
  }
}

/** Runs the instance in the background. */
export async function start(ctx: Context, args: ServeArgs): Promise<void> {
  check(args);
  bootstrapHash(ctx.env);
  await warn(ctx, args);
  const { url, instance_did, pid, home } = await startDaemon(defaultHome(ctx.env), flagsOf(args), ctx.env);
  const facts = { url, instance_did, pid, home };
  await printResult(ctx, facts, () => describe(facts));
}

/** Ends the daemon. That none runs is what was asked for, and no error. */
export async function stop(ctx: Context): Promise<void> {
  const home = defaultHome(ctx.env);
  const pid = await stopDaemon(home, (text) => ctx.progress.update(text));
  await ctx.progress.clear();
  await printResult(ctx, { stopped: pid !== null, pid, home }, () =>
    pid === null ? `no daemon is running for ${safeText(home)}\n` : `✓ stopped (pid ${pid})\n`,
  );
}

function describe(facts: { url: string; instance_did: string; pid: number; home: string }): string {
  return `✓ serving ${safeText(facts.instance_did)}
  url:  ${safeText(facts.url)}
  home: ${safeText(facts.home)}
  pid:  ${facts.pid}
`;
}

async function warn(ctx: Context, args: ServeArgs): Promise<void> {
  const { cleartextWarning, resolveSettings } = await import("../server/settings.ts");
  // Before anything is made or started: what is wrong with the settings is said here.
  const settings = resolveSettings(
    { ...args, port: readPort(args.port) },
    homePaths(defaultHome(ctx.env)).config,
  );
  if (ctx.env.SPL_SERVE_URL) {
    await ctx.err.line(
      "SPL_SERVE_URL is set; spl serve ignores it and runs the instance of this machine's home",
    );
  }
  const cleartext = cleartextWarning(settings);
  if (cleartext !== null) await ctx.err.line(safeText(cleartext));
  if (args.insecureLocalhost) {
    await ctx.err.line(
      "warning: --insecure-localhost: everyone on this machine can do anything with this instance",
    );
  }
}

/** Refuses wrong values before there is anything that they could leave half made, and returns the port. */
function check({ port, name, publicUrl, isolated, reclaim }: ServeArgs): number | undefined {
  if (name !== undefined) checkInstanceName(name);
  if (publicUrl !== undefined) readBaseUrl(publicUrl, "--public-url");
  if (isolated && reclaim) {
    throw new SplError("usage", "--reclaim does not go with --isolated: nobody would learn of it", {
      hint: "leave out one of them",
    });
  }
  return readPort(port);
}

function readPort(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (port <= 65535) return port;
  throw new SplError("usage", `--port ${text} is no port`, { hint: "a number from 0 to 65535" });
}

/** The flags as they were typed, for the process that will serve elsewhere. */
function flagsOf(args: ServeArgs): string[] {
  const { host, port, publicUrl, allowedHosts, tlsCert, tlsKey, name } = args;
  const { insecureLocalhost, isolated, directory, reclaim } = args;
  // The daemon does not run in this folder.
  const [cert, key] = [tlsCert, tlsKey].map((path) => path && resolve(path));
  const names = { "public-url": publicUrl, "allowed-hosts": allowedHosts };
  const values = { host, port, ...names, "tls-cert": cert, "tls-key": key, name };
  const switches = { "insecure-localhost": insecureLocalhost, isolated, directory, reclaim };
  return [
    ...Object.entries(values).flatMap(([flag, value]) => (value === undefined ? [] : [`--${flag}=${value}`])),
    ...Object.entries(switches).flatMap(([flag, on]) => (on ? [`--${flag}`] : [])),
  ];
}

/** Resolves at the end of standard input, which the system brings about when its other end is killed. */
async function endOfInput(): Promise<void> {
  for await (const _ of Bun.stdin.stream());
}

export default command;
if (import.meta.main) await runAlone(command);
