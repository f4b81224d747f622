import { toHex, utf8 } from "../base/bytes.ts";
import { SplError } from "../base/errors.ts";
import { sha256 } from "../base/sha256.ts";
import { counted } from "../base/text.ts";
import { nextTurn } from "../base/turn.ts";
import { certifies } from "../identity/did.ts";
import { ed25519 } from "../identity/ed25519.ts";
import { DigestSum } from "../record/digest.ts";
import type { Reader } from "../store/types.ts";
import { Instance, type Ports } from "./instance.ts";
import { foldReserved } from "./reserved.ts";

const PROBE = utf8("syncropel-probe-v1");

/** What an import said that the instance holds afterwards. */
export interface Expected {
  records: number;
  digest: string;
}

/**
 * Whether an instance comes up right, as a start would find it: opened anew, its key loaded from disk signs what its
 * DID certifies; every record has the hash that is its name; one scan gives the count and digest that the store keeps,
 * which are the expected ones unless something came in since; its own threads can be folded.
 * @returns what is wrong, one line; null when nothing is
 */
export async function problemOf(
  home: string,
  expected: Expected,
  ports: Partial<Ports> = {},
): Promise<string | null> {
  try {
    const instance = await Instance.open(home, ports);
    try {
      return await instance.store.read((reader) => examine(instance, reader, expected));
    } finally {
      await instance.close();
    }
  } catch (error) {
    return error instanceof SplError ? error.message : `internal error: ${error}`;
  }
}

async function examine(instance: Instance, reader: Reader, expected: Expected): Promise<string | null> {
  const { did, publicKey, key } = await instance.signer(reader);
  if (!certifies(did, publicKey) || !ed25519.verify(key.sign(PROBE), PROBE, publicKey))
    return `its key does not sign for ${did}`;
  const scan = new DigestSum();
  let records = 0;
  for await (const entries of reader.entries()) {
    for (const entry of entries) {
      if (toHex(sha256.hash(entry.canonical)) !== entry.id) return `record ${entry.id} is damaged`;
      scan.add(entry);
    }
    records += entries.length;
    await nextTurn();
  }
  const totals = await reader.totals();
  if (records !== totals.records) return `${counted(totals.records, "record")} counted, ${records} found`;
  if (scan.hex() !== totals.digest) return "the digest is not that of its records";
  if (records < expected.records) return `${counted(expected.records, "record")} expected, ${records} found`;
  if (records === expected.records && totals.digest !== expected.digest)
    return "its records are not those that the import said";
  await foldReserved(instance, reader);
  return null;
}
