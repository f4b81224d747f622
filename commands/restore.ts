import { resolve } from "node:path";
import { defaultHome } from "../lib/base/home.ts";
import { safeText } from "../lib/base/safe_text.ts";
import { shellWord } from "../lib/base/text.ts";
import type { LockKind } from "../lib/bundle/encrypt.ts";
import type { RestoreSummary } from "../lib/instance/types.ts";
import { backupKey, backupKeyArgs } from "./_backup.ts";
import { askToUnlock, decryptArgs, plainBundle } from "./_bundle_file.ts";
import { requireDid } from "./_given.ts";
import { ADOPTED, summaryNotes, summaryText, verifiedText } from "./_import_text.ts";
import { type Context, defineSpl, jsonLine, runAlone } from "./_kit.ts";
import { storedBundle } from "./_stored_bundle.ts";

const command = defineSpl({
  name: "restore",
  summary: "Make a new home from a bundle, without a daemon",
  description:
    "The whole file is checked first; then the home is there, or nothing is. A folder that holds something is refused.\nOf a folder of backups, s3://… or latest, the default folder, it takes the newest.\nThe restored home is the living one from its first start: stop the old one, if it still runs.",
  args: {
    file: {
      type: "positional",
      description:
        "the bundle, - for standard input; latest, DIR or s3://BUCKET/PREFIX for the newest backup",
    },
    home: { type: "string", valueHint: "DIR", description: "where to (else SYNCROPEL_HOME, ~/.syncro)" },
    newIdentity: {
      type: "boolean",
      description: "make a new identity that holds the bundle's records; its accounts stay behind",
    },
    expectDid: { type: "string", valueHint: "DID", description: "refuse a bundle of anyone else" },
    deep: { type: "boolean", description: "check each of the identity's own signatures as well" },
    ...decryptArgs,
    passphraseFile: backupKeyArgs.passphraseFile,
  },
  examples: [
    "spl restore ~/migration.tar.zst",
    "spl restore latest",
    "spl restore s3://backups/laptop --decrypt-key key.txt",
    "spl restore backup.tar.zst.age --decrypt-key key.txt --home /srv/spl",
  ],
  run: async (ctx, { file, home: folder, newIdentity, expectDid, deep, ...keys }) => {
    const { restoreBundle } = await import("../lib/instance/restore.ts");
    if (expectDid !== undefined) requireDid(expectDid);
    const home = folder === undefined ? defaultHome(ctx.env) : resolve(ctx.cwd, folder);
    const key = await backupKey(ctx, keys);
    const { name, chunks } = await bundleOf(ctx, file, expectDid ?? null);
    if (ctx.output === "text") {
      const what = name === null ? "" : `${safeText(name)} `;
      await ctx.err.line(`restoring ${what}to ${safeText(home)}`);
    }
    const unlock = async (kind: LockKind) => key ?? askToUnlock(kind, ctx.interactive && file !== "-");
    let said: Promise<void> = Promise.resolve();
    const summary = await restoreBundle(
      home,
      reading(ctx, plainBundle(chunks(), unlock)),
      { expectDid: expectDid ?? null, deep, newIdentity },
      {
        onVerified: (verified) => {
          if (ctx.output === "text") said = tell(ctx, `${verifiedText(verified)}→ Restoring...\n`);
        },
      },
    );
    await said;
    if (ctx.output !== "text") return ctx.out.write(jsonLine({ home, ...summary }));
    await ctx.out.write(`${summaryText(summary, identityLine(summary))}✓ Restored to ${safeText(home)}\n`);
    await ctx.out.flush();
    for (const note of summaryNotes(summary)) await ctx.err.line(note);
    await ctx.err.line(`start it: ${startLine(ctx, home)}`);
  },
});

/** The name is told of what was chosen among backups; what was typed needs no telling. */
async function bundleOf(
  ctx: Context,
  file: string,
  did: string | null,
): Promise<{ name: string | null; chunks(): AsyncIterable<Uint8Array> }> {
  if (file === "-") return { name: null, chunks: () => Bun.stdin.stream() };
  const { name, chunks } = await storedBundle(ctx, file, async () => ({
    did,
    several: "say which with --expect-did DID, or name one of the backups",
    none: "name a bundle, or where backups of it are: a folder or s3://BUCKET/PREFIX",
  }));
  return { name: [file, resolve(ctx.cwd, file)].includes(name) ? null : name, chunks };
}

async function tell(ctx: Context, text: string): Promise<void> {
  await ctx.progress.clear();
  await ctx.out.write(text);
}

async function* reading(ctx: Context, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of chunks) {
    ctx.signal.throwIfAborted();
    bytes += chunk.length;
    ctx.progress.update(`${(bytes / 1e6).toFixed(1)} MB read`);
    yield chunk;
  }
}

function identityLine({ identity, instance_did }: RestoreSummary): string {
  return identity === "adopted" ? ADOPTED : `new: ${instance_did}`;
}

function startLine(ctx: Context, home: string): string {
  return home === defaultHome(ctx.env)
    ? "spl serve --daemon"
    : `SYNCROPEL_HOME=${shellWord(home)} spl serve --daemon`;
}

export default command;
if (import.meta.main) await runAlone(command);
