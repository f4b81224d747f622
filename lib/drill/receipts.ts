import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Env, makePrivate } from "../backup/places.ts";
import { writeFileAtomic } from "../base/atomic_file.ts";
import { concatBytes, fromBase64Url, fromHex, toBase64Url, utf8 } from "../base/bytes.ts";
import { fileError } from "../base/errors.ts";
import { certifies } from "../identity/did.ts";
import { ed25519 } from "../identity/ed25519.ts";
import type { KeyPair } from "../identity/key.ts";
import type { Result } from "../instance/doctor.ts";
import { canonicalBytes } from "../record/canonical.ts";
import type { JsonObject } from "../record/types.ts";
import { drillsFolder, namesIn, receiptsFolder } from "./places.ts";
import type { DrillFacts, Receipt } from "./types.ts";

/** Receipts of good drills: `<DID's tail>/<time>.json`, each signed by the identity that came back. */

const NAME = /^\d{8}T\d{9}Z\.json$/;
const DAY_MS = 24 * 60 * 60 * 1000;
const OLD_DAYS = 30;

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
    .map(({ path }) => ({ path, receipt: readReceipt(path) }));
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

/** The row of `spl doctor`. @param did null for any instance */
export function drillHealth(env: Env, did: string | null, now: number): Result {
  const last = keptReceipts(env, did).findLast(({ receipt }) => receipt !== null)?.receipt;
  // A home that does not open cannot be drilled.
  const fix = did === null ? null : "spl drill";
  const warn = (detail: string): Result => ({ result: "warn", detail, fix });
  if (!last) return warn("no drill has shown that this instance can come back");
  const ms = now - Date.parse(last.at);
  const days = Math.floor(ms / DAY_MS);
  const age = days < 1 ? "less than a day" : days === 1 ? "1 day" : `${days} days`;
  const detail = `last good one ${age} ago, back in ${(last.recovered_ms / 1000).toFixed(1)} s`;
  return ms > OLD_DAYS * DAY_MS ? warn(detail) : { result: "pass", detail, fix: null };
}

function message(facts: DrillFacts): Uint8Array {
  return concatBytes(utf8("syncropel-drill-v1:"), canonicalBytes(facts as unknown as JsonObject));
}
