import { resolve } from "node:path";
import type { Manifest } from "../lib/api/wire.ts";
import { holdsFile } from "../lib/base/atomic_file.ts";
import { SplError } from "../lib/base/errors.ts";
import { exists } from "../lib/base/exists.ts";
import { defaultHome, homePaths } from "../lib/base/home.ts";
import { safeText } from "../lib/base/safe_text.ts";
import { didTail } from "../lib/identity/did.ts";
import { isTerminal } from "../lib/ui/terminal.ts";
import { encryptArgs, encryptionOf, writeBundleFile } from "./_bundle_file.ts";
import { type ArgValues, type Context, defineSpl, jsonLine, runAlone, targetArgs } from "./_kit.ts";
import { connectForBundle } from "./_target.ts";
import { upgradeNote } from "./_upgrade_note.ts";

const exportArgs = {
  out: {
    type: "string",
    valueHint: "PATH",
    description: "file to write, - for standard output (else <DID's name>.tar.zst)",
  },
  uncompressed: { type: "boolean", description: "write a plain .tar" },
  identity: {
    type: "boolean",
    default: true,
    description: "leave the private key out: for inspection, not for moving",
  },
  identityOnly: { type: "boolean", description: "nothing but the identity" },
  carryTokens: {
    type: "boolean",
    description: "keep access tokens valid across the move (their hashes travel)",
  },
  offline: {
    type: "boolean",
    description: "read this machine's home without its daemon; refused while one runs",
  },
  ...encryptArgs,
  force: { type: "boolean", description: "replace an existing file" },
  ...targetArgs,
} as const;

type Args = ArgValues<typeof exportArgs>;
type Source = { manifest: Manifest; chunks: AsyncIterable<Uint8Array>; close(): Promise<void> };

const command = defineSpl({
  name: "export",
  summary: "Write a whole instance into one signed file",
  description:
    "Records, identity, pairs, consent and configuration. The extension of --out chooses the compression: .tar.zst,\n.tar.gz or .tar.",
  args: exportArgs,
  examples: [
    "spl export --out ~/migration.tar.zst",
    "spl export --out backup.tar.zst.age --encrypt-to age1…",
    "spl export --out - | ssh box spl import -",
  ],
  run: async (ctx, args) => {
    checkFlags(args);
    if (args.out !== undefined) refuseExisting(ctx, args.out, args.force);
    const encryption = await encryptionOf(ctx, args);
    const source = await openSource(ctx, args);
    try {
      const { manifest } = source;
      const path = args.out ?? defaultName(manifest, args);
      refuseExisting(ctx, path, args.force);
      const chunks = encryption
        ? (await import("../lib/bundle/encrypt.ts")).encryptStream(source.chunks, encryption)
        : source.chunks;
      const bytes = await writeBundleFile(ctx, path, chunks);
      await ctx.progress.clear();
      if (manifest.identity !== "none") await ctx.err.line(keyWarning(manifest, encryption !== null));
      await report(ctx, path, manifest, bytes);
    } finally {
      await source.close();
    }
  },
});

function checkFlags({
  out,
  uncompressed,
  identity,
  identityOnly,
  carryTokens,
  encryptTo,
  passphrase,
  offline,
  url,
}: Args): void {
  const conflicts: [boolean, string][] = [
    [!identity && identityOnly, "--no-identity and --identity-only exclude each other"],
    [!identity && carryTokens, "--carry-tokens needs the identity; leave out --no-identity"],
    [identityOnly && carryTokens, "--identity-only and --carry-tokens exclude each other"],
    [encryptTo !== undefined && passphrase, "--encrypt-to and --passphrase exclude each other"],
    [offline && url !== undefined, "--offline reads this machine's home; leave out --url"],
    [
      uncompressed && /\.(zst|gz|tgz)(\.age)?$/.test(out ?? ""),
      `--uncompressed does not fit ${out}; name it .tar`,
    ],
    [out === "-" && isTerminal(1), "--out - would write a binary file to the terminal; redirect it"],
  ];
  for (const [conflict, message] of conflicts) if (conflict) throw new SplError("usage", message);
}

/** Nothing is overwritten unless it was asked for; a symbolic link is a file of its own. */
function refuseExisting(ctx: Context, path: string, force: boolean): void {
  if (path === "-" || !holdsFile(resolve(ctx.cwd, path)) || force) return;
  throw new SplError("file_exists", `${path} exists`, {
    hint: "pass --force to replace it, or name another file",
  });
}

async function openSource(ctx: Context, args: Args): Promise<Source> {
  const { compressionOf } = await import("../lib/bundle/compression.ts");
  const compression = args.uncompressed ? "none" : compressionOf(args.out ?? "");
  const identity = args.identityOnly ? "only" : args.identity ? "included" : "none";
  if (args.offline) {
    const [{ exportBundle }, { HomeLock }] = await Promise.all([
      import("../lib/instance/export.ts"),
      import("../lib/instance/lock.ts"),
    ]);
    const home = defaultHome(ctx.env);
    const paths = homePaths(home);
    // A copy of a home may lack the folder of the lock: no daemon runs there.
    const lockable = exists(paths.run);
    const lock = lockable ? HomeLock.tryTake(paths) : null;
    if (lockable && !lock) {
      throw new SplError("daemon_running", `the daemon of ${home} is running`, {
        hint: "leave out --offline, or spl serve --stop",
      });
    }
    const copies: string[] = [];
    const bundle = await exportBundle(
      home,
      { compression, identity, carryTokens: args.carryTokens },
      {},
      { onMigrated: ({ snapshot }) => copies.push(snapshot) },
    );
    for (const copy of copies) await ctx.err.line(upgradeNote(copy));
    return { ...bundle, close: () => bundle.close().finally(() => lock?.release()) };
  }
  const client = await connectForBundle(ctx, args, "exporting from");
  // Who writes a file takes signals over, so that even one who waits for the next byte leaves nothing behind.
  const signal = args.out === "-" ? undefined : ctx.signal;
  const bundle = await client.exportBundle({ compression, identity, carry_tokens: args.carryTokens }, signal);
  return { ...bundle, close: async () => undefined };
}

function defaultName(manifest: Manifest, { uncompressed, encryptTo, passphrase }: Args): string {
  const encrypted = encryptTo !== undefined || passphrase ? ".age" : "";
  return `${didTail(manifest.source_did)}.tar${uncompressed ? "" : ".zst"}${encrypted}`;
}

function keyWarning({ source_did }: Manifest, encrypted: boolean): string {
  const key = `it holds the private key of ${source_did}`;
  return encrypted
    ? `whoever opens this file can act as you: ${key}`
    : `this file can act as you: ${key} in the clear; keep it like a password, or use --encrypt-to`;
}

async function report(ctx: Context, path: string, manifest: Manifest, bytes: number): Promise<void> {
  const to = path === "-" ? ctx.err : ctx.out;
  const {
    source_did,
    record_count: records,
    thread_count: threads,
    federation_pairs,
    consent_grants,
  } = manifest;
  if (ctx.output !== "text") {
    const { identity, records_root, bundle_sha256 } = manifest;
    const facts = {
      path,
      records,
      threads,
      federation_pairs,
      consent_grants,
      identity,
      signed: true,
      records_root,
      bundle_sha256,
      bytes,
    };
    return to.write(jsonLine(facts));
  }
  const identity = { included: `included (${source_did})`, only: `only (${source_did})`, none: "none" }[
    manifest.identity
  ];
  return to.write(
    `✓ Bundle written to ${safeText(shownPath(ctx, path))}
  records:       ${records}
  threads:       ${threads}
  federation pairs: ${federation_pairs}
  consent grants:   ${consent_grants}
  identity:      ${identity}
  signed:        yes
`,
  );
}

/** The home folder is shown as `~`, as a person types it. */
function shownPath({ env }: Context, path: string): string {
  if (path === "-") return "standard output";
  return env.HOME && path.startsWith(`${env.HOME}/`) ? `~${path.slice(env.HOME.length)}` : path;
}

export default command;
if (import.meta.main) await runAlone(command);
