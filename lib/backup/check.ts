import { toHex } from "../base/bytes.ts";
import { SplError } from "../base/errors.ts";
import { sha256 } from "../base/sha256.ts";
import { type DecryptWith, decryptStream } from "../bundle/encrypt.ts";
import type { Manifest } from "../bundle/types.ts";
import { inspectBundle } from "../instance/inspect.ts";
import type { BackupTarget, Verified } from "./types.ts";

export interface Checked {
  verified: Verified;
  bytes: number;
  sha256: string;
  /** Null when only the ciphertext was read. */
  manifest: Manifest | null;
}

/**
 * Reads a backup from its first byte to its last, where it lies. In the clear, or with the key, everything in it is
 * checked; without the key its SHA-256 is compared with the one of what was written.
 * @param known of the ledger, or null where it knows nothing
 * @throws SplError bundle_malformed, verification_failed (damaged); bundle_locked (the key does not fit, or there is
 *   neither key nor hash); what the target throws
 */
export async function checkStored(
  target: BackupTarget,
  { name, encrypted }: { name: string; encrypted: boolean },
  known: { sha256: string } | null,
  key: DecryptWith | null,
): Promise<Checked> {
  if (encrypted && key === null && known === null) {
    throw new SplError("bundle_locked", `${name} is encrypted and its hash is not known`, {
      hint: "pass --decrypt-key FILE or --passphrase-file FILE",
    });
  }
  try {
    return await readWhole(target, { name, encrypted }, known, key);
  } catch (error) {
    // A header with a damaged line opens to no key: whether it was the key's fault the hash tells.
    if (error instanceof SplError && error.code === "bundle_locked" && known !== null)
      await readWhole(target, { name, encrypted }, known, null);
    throw error;
  }
}

async function readWhole(
  target: BackupTarget,
  { name, encrypted }: { name: string; encrypted: boolean },
  known: { sha256: string } | null,
  key: DecryptWith | null,
): Promise<Checked> {
  const hash = sha256.stream();
  let bytes = 0;
  const chunks = hashed(target.read(name), (chunk) => {
    hash.update(chunk);
    bytes += chunk.length;
  });
  let manifest: Manifest | null = null;
  if (encrypted && key === null) for await (const _ of chunks);
  else ({ manifest } = await inspectBundle(encrypted ? decryptStream(chunks, key!) : chunks));
  const found = toHex(hash.digest());
  if (known !== null && known.sha256 !== found) {
    throw new SplError("verification_failed", `${name} is not the file that was written`);
  }
  return { verified: manifest === null ? "ciphertext" : "content", bytes, sha256: found, manifest };
}

/** The same chunks, each shown on its way. */
export async function* hashed(
  chunks: AsyncIterable<Uint8Array>,
  see: (chunk: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    see(chunk);
    yield chunk;
  }
}

/** Whether an error says that the backup itself is bad, and not that it could not be read or opened. */
export function isDamage(error: unknown): boolean {
  return (
    error instanceof SplError && (error.code === "bundle_malformed" || error.code === "verification_failed")
  );
}
