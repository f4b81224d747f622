import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { knownFolders, openTarget } from "../lib/backup/places.ts";
import type { BackupTarget } from "../lib/backup/types.ts";
import { fileError, SplError } from "../lib/base/errors.ts";
import type { DecryptWith } from "../lib/bundle/encrypt.ts";
import { readKeyFile } from "./_bundle_file.ts";
import type { ArgValues, Context } from "./_kit.ts";

/** Spread into the arguments of every command on backups. */
export const backupTargetArgs = {
  to: {
    type: "string",
    valueHint: "DIR|s3://BUCKET/PREFIX",
    description: "where backups are kept (else $XDG_DATA_HOME/syncropel/backups)",
  },
} as const;

/** Spread into the arguments of every command that opens backups. Nothing is ever asked for: cron cannot answer. */
export const backupKeyArgs = {
  decryptKey: { type: "string", valueHint: "FILE", description: "age key file that opens encrypted backups" },
  passphraseFile: {
    type: "string",
    valueHint: "FILE",
    description: "file with the passphrase of encrypted backups",
  },
} as const;

/** The named target, or the folders of every instance that was ever backed up from this machine. */
export async function backupTargets(
  ctx: Context,
  { to }: ArgValues<typeof backupTargetArgs>,
): Promise<BackupTarget[]> {
  const targets = to === undefined ? knownFolders(ctx.env) : [to];
  return Promise.all(targets.map((target) => openTarget(target, ctx.cwd, ctx.env)));
}

/**
 * The key at hand, or null. SPL_PASSPHRASE counts where no file is named.
 * @throws SplError usage, file_unreadable
 */
export async function backupKey(
  ctx: Context,
  { decryptKey, passphraseFile }: ArgValues<typeof backupKeyArgs>,
): Promise<DecryptWith | null> {
  if (decryptKey !== undefined && passphraseFile !== undefined)
    throw new SplError("usage", "--decrypt-key and --passphrase-file exclude each other");
  if (passphraseFile !== undefined) return { passphrase: readPassphrase(ctx, passphraseFile) };
  if (decryptKey !== undefined) {
    const { parseKeyFile } = await import("../lib/bundle/encrypt.ts");
    return { identities: parseKeyFile(readKeyFile(resolve(ctx.cwd, decryptKey))) };
  }
  return ctx.env.SPL_PASSPHRASE ? { passphrase: ctx.env.SPL_PASSPHRASE } : null;
}

/** The first line of a file, as `age` and `restic` take it. @throws SplError usage when it is empty */
export function readPassphrase(ctx: Context, file: string): string {
  const path = resolve(ctx.cwd, file);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw fileError(error, "read the passphrase file", path);
  }
  const [passphrase] = text.split(/\r?\n/);
  if (passphrase) return passphrase;
  throw new SplError("usage", `the first line of ${file} is empty`, { hint: "write the passphrase there" });
}
