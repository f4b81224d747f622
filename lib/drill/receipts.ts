import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Env, makePrivate } from "../backup/places.ts";
import { writeFileAtomic } from "../base/atomic_file.ts";
import { concatBytes, fromBase64Url, fromHex, toBase64Url, utf8 } from "../base/bytes.ts";
import { fileError } from "../base/errors.ts";
import { namesIn } from "../base/names_in.ts";
import { certifies } from "../identity/did.ts";
import { ed25519 } from "../identity/ed25519.ts";
import type { KeyPair } from "../identity/key.ts";
import type { Result } from "../instance/checks/result.ts";
import { type Upkeep, upkeepRow } from "../instance/checks/upkeep.ts";
import { canonicalBytes } from "../record/canonical.ts";
import type { JsonObject } from "../record/types.ts";
import { drillsFolder, receiptsFolder } from "./places.ts";
import type { DrillFacts, Receipt } from "./types.ts";

/** Receipts of good drills: `<DID's tail>/<time>.json`, each signed by the identity that came back. */

const NAME = /^\d{8}T\d{9}Z\.json$/;
const UPKEEP: Upkeep = {
  command: "spl drill",
  days: 30,
  missing: "no drill has shown that this instance can come back",
};

/** The signature shows that the private key came back as well. */
export function signReceipt(facts: DrillFacts, key: KeyPair): Receipt {
  return { ...facts, sig: toBase64Url(key.sign(message(facts))) };
}

/** Whether the DID's own key signed exactly this. */
export function isGenuine({ sig, ...facts }: Receipt): boolean {
  const [key, signature] = [fromHex(facts.public_key, 32), fromBase64Url(sig, 64)];
  if (key === null || signature === null || !certifies(facts.did, key)) return false;
  return ed25519.verify(signature, message(facts), key);
}

/** Returns the path of the file, which is 0600. */
export function keepReceipt(env: Env, receipt: Receipt): string {
  const folder = makePrivate(receiptsFolder(env, receipt.did));
  const path = join(folder, `${receipt.at.replaceAll(/[-:.]/g, "")}.json`);
  writeFileAtomic(path, utf8(`${JSON.stringify(receipt)}\n`));
  return path;
}

export interface KeptReceipt {
  path: string;
  /** Null for a file that is no receipt, or that its DID did not sign. */
  receipt: Receipt | null;
}

/** Receipts, oldest first. @param did null for those of any instance */
export function keptReceipts(env: Env, did: string | null): KeptReceipt[] {
  return receiptPaths(env, did).map((path) => ({ path, receipt: readReceipt(path) }));
}

/** The newest receipt that is genuine; no other is read. @param did null for that of any instance */
export function lastReceipt(env: Env, did: string | null): Receipt | null {
  for (const path of receiptPaths(env, did).reverse()) {
    const receipt = readReceipt(path);
    if (receipt !== null) return receipt;
  }
  return null;
}

/** In the order of their times. */
function receiptPaths(env: Env, did: string | null): string[] {
  const root = drillsFolder(env);
  const folders =
    did !== null
      ? [receiptsFolder(env, did)]
      : namesIn(root)
          .filter((name) => !name.startsWith("."))
          .map((name) => join(root, name));
  return folders
    .flatMap((folder) =>
      namesIn(folder)
        .filter((name) => NAME.test(name))
        .map((name) => ({ name, path: join(folder, name) })),
    )
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ path }) => path);
}

function readReceipt(path: string): Receipt | null {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw fileError(error, "read", path);
  }
  try {
    const receipt = JSON.parse(text) as Receipt;
    return isGenuine(receipt) ? receipt : null;
  } catch {
    return null;
  }
}

/** The row of `spl doctor`. */
export function drillHealth(env: Env, did: string | null, since: number | null, now: number): Result {
  const last = lastReceipt(env, did);
  return upkeepRow(
    UPKEEP,
    { did, since, now },
    last?.at ?? null,
    (age) => `last good one ${age} ago, back in ${(last!.recovered_ms / 1000).toFixed(1)} s`,
  );
}

function message(facts: DrillFacts): Uint8Array {
  return concatBytes(utf8("syncropel-drill-v1:"), canonicalBytes(facts as unknown as JsonObject));
}
