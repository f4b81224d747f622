import { resolve } from "node:path";
import { defaultHome } from "../lib/base/home.ts";
import { safeText } from "../lib/base/safe_text.ts";
import { shellWord } from "../lib/base/text.ts";
import type { RestoreSummary } from "../lib/instance/types.ts";
import { decryptArgs, readBundleFile } from "./_bundle_file.ts";
import { ADOPTED, summaryNotes, summaryText, verifiedText } from "./_import_text.ts";
import { type Context, defineSpl, jsonLine, runAlone } from "./_kit.ts";

const command = defineSpl({
  name: "restore",
  summary: "Make a new home from a bundle, without a daemon",
  description:
    "The whole file is checked first; then the home is there, or nothing is. A folder that holds something is refused.\nThe restored home is the living one from its first start: stop the old one, if it still runs.",
  args: {
    file: { type: "positional", description: "the bundle, - for standard input" },
    home: { type: "string", valueHint: "DIR", description: "where to (else SYNCROPEL_HOME, ~/.syncro)" },
    newIdentity: {
      type: "boolean",
      description: "for a bundle without a private key: make a new identity that holds its records",
    },
    expectDid: { type: "string", valueHint: "DID", description: "refuse a bundle of anyone else" },
    deep: { type: "boolean", description: "check each of the identity's own signatures as well" },
    ...decryptArgs,
  },
  examples: [
    "spl restore ~/migration.tar.zst",
    "spl restore backup.tar.zst.age --decrypt-key key.txt --home /srv/spl",
  ],
  run: async (ctx, { file, home: folder, newIdentity, expectDid, deep, decryptKey }) => {
    const { restoreBundle } = await import("../lib/instance/restore.ts");
    const home = folder === undefined ? defaultHome(ctx.env) : resolve(ctx.cwd, folder);
    if (ctx.output === "text") await ctx.err.line(`restoring to ${safeText(home)}`);
    let said: Promise<void> = Promise.resolve();
    const summary = await restoreBundle(
      home,
      reading(ctx, readBundleFile(ctx, file, { decryptKey })),
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
