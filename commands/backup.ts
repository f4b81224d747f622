import { isGone, lastVerified } from "../lib/backup/last_verified.ts";
import { lockTarget, openDefault, openTarget } from "../lib/backup/places.ts";
import type { Retention } from "../lib/backup/retention.ts";
import { type BackupResult, takeBackup } from "../lib/backup/take.ts";
import type { BackupTarget } from "../lib/backup/types.ts";
import { SplError } from "../lib/base/errors.ts";
import { safeText } from "../lib/base/safe_text.ts";
import { counted } from "../lib/base/text.ts";
import type { DecryptWith, EncryptTo } from "../lib/bundle/encrypt.ts";
import { requireConfidential } from "../lib/client/target.ts";
import { renderFacts } from "../lib/ui/facts.ts";
import { isTerminal } from "../lib/ui/terminal.ts";
import { backupKey, backupKeyArgs, backupTargetArgs, readPassphrase } from "./_backup.ts";
import { encryptArgs } from "./_bundle_file.ts";
import { type ArgValues, type Context, defineSpl, printResult, runAlone, targetArgs } from "./_kit.ts";
import { pingArgs, pinging } from "./_ping.ts";
import { connect } from "./_target.ts";

const backupArgs = {
  ...backupTargetArgs,
  encryptTo: encryptArgs.encryptTo,
  ...backupKeyArgs,
  keepLast: { type: "string", valueHint: "N", description: "keep the N newest backups" },
  keepDaily: {
    type: "string",
    valueHint: "N",
    description: "keep the newest of each of the N latest days (UTC)",
  },
  keepWeekly: { type: "string", valueHint: "N", description: "the same for weeks" },
  keepMonthly: {
    type: "string",
    valueHint: "N",
    description: "the same for months; without --keep-… all stay",
  },
  ...pingArgs,
  ...targetArgs,
} as const;

type Args = ArgValues<typeof backupArgs>;

interface Plan {
  encryption: EncryptTo | null;
  key: DecryptWith | null;
  retention: Retention;
}

const command = defineSpl({
  name: "backup",
  summary: "Back up an instance, read it back, and prune old backups",
  description:
    "For cron: says nothing when all is well, unless on a terminal or with -o json. Status 5 when another backup to the\nsame target is running. S3 takes AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL_S3.\nWithout the key at hand an encrypted backup is compared by its SHA-256 (verified: ciphertext).\nSee also spl backup list, spl backup verify and spl schedule print.",
  args: backupArgs,
  examples: [
    "spl backup --keep-daily 7 --keep-weekly 5 --keep-monthly 12",
    "spl backup --to s3://backups/laptop --encrypt-to age1…",
    "spl backup --to /mnt/usb --passphrase-file ~/.passphrase --ping https://hc-ping.com/uuid",
  ],
  run: async (ctx, args) => {
    const plan = await planOf(ctx, args);
    const result = await pinging(ctx, args, () => backUp(ctx, args, plan));
    if (ctx.output !== "text" || isTerminal(1)) await printResult(ctx, result, () => text(result));
  },
});

async function planOf(ctx: Context, args: Args): Promise<Plan> {
  const { encryptTo, decryptKey, passphraseFile } = args;
  const retention = {
    last: positive(args.keepLast, "--keep-last"),
    daily: positive(args.keepDaily, "--keep-daily"),
    weekly: positive(args.keepWeekly, "--keep-weekly"),
    monthly: positive(args.keepMonthly, "--keep-monthly"),
  };
  if (passphraseFile !== undefined) {
    if (encryptTo !== undefined)
      throw new SplError("usage", "--encrypt-to and --passphrase-file exclude each other");
    if (decryptKey !== undefined)
      throw new SplError("usage", "--decrypt-key and --passphrase-file exclude each other");
    const passphrase = readPassphrase(ctx, passphraseFile);
    return { encryption: { passphrase }, key: { passphrase }, retention };
  }
  if (encryptTo === undefined) {
    if (decryptKey !== undefined) throw new SplError("usage", "--decrypt-key goes with --encrypt-to");
    return { encryption: null, key: null, retention };
  }
  const encryption = { recipients: encryptTo.split(",").map((recipient) => recipient.trim()) };
  await (await import("../lib/bundle/encrypt.ts")).checkEncryptTo(encryption);
  const key = decryptKey === undefined ? null : await backupKey(ctx, { decryptKey, passphraseFile });
  return { encryption, key, retention };
}

function positive(text: string | undefined, flag: string): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new SplError("usage", `${flag} ${JSON.stringify(text)} is no number from 1 up`);
}

async function backUp(ctx: Context, args: Args, plan: Plan): Promise<BackupResult> {
  const client = connect(ctx, args);
  requireConfidential(client.target, "a bundle");
  const named = args.to === undefined ? null : await openTarget(args.to, ctx.cwd, ctx.env);
  const { instance_did } = await client.status();
  const target = named ?? openDefault(ctx.env, instance_did);
  const lock = lockTarget(ctx.env, target, "backup");
  if (!lock) throw alreadyRunning(target);
  try {
    await tellGone(ctx, target, instance_did);
    const bundle = await client.exportBundle(
      { compression: "zst", identity: "included", carry_tokens: false },
      ctx.signal,
    );
    if (bundle.manifest.source_did !== instance_did) {
      throw new SplError("conflict", "the instance took another identity meanwhile", {
        hint: "run the same command again",
      });
    }
    return await takeBackup(bundle, target, {
      ...plan,
      env: ctx.env,
      now: ctx.clock(),
      signal: ctx.signal,
      onBytes: (bytes) => ctx.progress.update(`${(bytes / 1e6).toFixed(1)} MB written`),
    });
  } finally {
    lock.release();
  }
}

/** A mount point is a folder without its disk as well. */
async function tellGone(ctx: Context, { url }: BackupTarget, did: string): Promise<void> {
  const last = lastVerified(ctx.env, did);
  if (last === null || last.target !== url || !isGone(last)) return;
  const gone = `the last verified backup is gone: ${url}/${last.name}`;
  await ctx.err.line(safeText(`${gone}; if its disk is not mounted, this one lies on another`));
}

function alreadyRunning({ url }: BackupTarget): SplError {
  return new SplError("backup_running", `another backup to ${url} is running`, {
    hint: "run it again when that one has ended",
  });
}

function text(result: BackupResult): string {
  const facts = renderFacts([
    ["name", result.name],
    ["in", result.target],
    ["records", result.records],
    ["bytes", result.bytes],
    ["encrypted", result.encrypted ? "yes" : "no: it can act as you, keep it like a password"],
    ["verified", result.verified],
    ["pruned", counted(result.pruned.length, "backup")],
  ]);
  return `✓ Backed up\n${facts}`;
}

export default command;
if (import.meta.main) await runAlone(command);
