import { fromUtf8, utf8 } from "../base/bytes.ts";
import { SplError } from "../base/errors.ts";
import { shellWord } from "../base/text.ts";
import { type Env, lockTarget } from "./places.ts";
import type { BackupTarget, LedgerEntry } from "./types.ts";

/** How long an update waits for another one; each takes milliseconds, on S3 perhaps a second. */
const PATIENCE_MS = 60_000;
const LOOK_MS = 20;
const MAX_BYTES = 16 * 1024 * 1024;

/** What is known of the backups of one instance, by name. It lies beside them as `<instance>-ledger.json`. */
export interface Ledger {
  format: "spl-backup-ledger";
  version: 1;
  did: string;
  backups: Record<string, LedgerEntry>;
}

const ledgerName = (instance: string): string => `${instance}-ledger.json`;

/**
 * @param instance the last 12 characters of its DID
 * @returns null when there is none
 * @throws SplError verification_failed for a file that is no ledger
 */
export async function readLedger(target: BackupTarget, instance: string): Promise<Ledger | null> {
  const name = ledgerName(instance);
  let text: string | null;
  try {
    text = fromUtf8(await whole(target.read(name)));
  } catch (error) {
    if (error instanceof SplError && error.code === "not_found") return null;
    throw error;
  }
  const ledger = parse(text);
  if (ledger) return ledger;
  throw new SplError("verification_failed", `${target.url}/${name} is no ledger of backups`, {
    hint: `remove it, then spl backup verify --to ${shellWord(target.url)} writes a new one`,
  });
}

/** Changes the ledger of an instance, atomically among all that run on this machine. */
export async function updateLedger(
  env: Env,
  target: BackupTarget,
  { did, instance }: { did: string; instance: string },
  change: (backups: Record<string, LedgerEntry>) => void,
): Promise<Ledger> {
  const lock = await awaitLock(env, target);
  try {
    const name = ledgerName(instance);
    await target.clearTemporaries(name);
    const ledger = (await readLedger(target, instance)) ?? {
      format: "spl-backup-ledger",
      version: 1,
      did,
      backups: {},
    };
    change(ledger.backups);
    await target.write(
      name,
      once(utf8(`${JSON.stringify(ledger, null, 1)}\n`)),
      new AbortController().signal,
    );
    return ledger;
  } finally {
    lock.release();
  }
}

async function awaitLock(env: Env, target: BackupTarget): Promise<{ release(): void }> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const lock = lockTarget(env, target, "ledger");
    if (lock) return lock;
    if (performance.now() > deadline) {
      throw new SplError("store_busy", `the ledger in ${target.url} is locked`, {
        hint: "another spl backup command holds it; run the same command again",
      });
    }
    await Bun.sleep(LOOK_MS);
  }
}

async function whole(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) break;
    parts.push(chunk);
  }
  return Buffer.concat(parts);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function parse(text: string | null): Ledger | null {
  try {
    const value = JSON.parse(text ?? "") as Ledger | null;
    const sound =
      value?.format === "spl-backup-ledger" &&
      value.version === 1 &&
      typeof value.did === "string" &&
      typeof value.backups === "object" &&
      value.backups !== null;
    return sound ? value : null;
  } catch {
    return null;
  }
}
