import { safeText } from "../../../lib/base/safe_text.ts";
import { counted } from "../../../lib/base/text.ts";
import type { BundleEvent, Manifest } from "../../../lib/bundle/types.ts";
import { foldInput } from "../../../lib/folds/input.ts";
import { fingerprintOf } from "../../../lib/identity/did.ts";
import type { Entry } from "../../../lib/record/types.ts";

/** What the page shows of a bundle, however large that is: all texts are safe for one line, the lists are bounded. */

/** Threads that are shown, records of each, and UTF-16 code units of a body. */
const MAX_THREADS = 200;
const MAX_RECORDS = 10;
const MAX_BODY = 200;

export interface Findings {
  /** Pairs of a name and a value. */
  facts: [name: string, value: string][];
  /** What was found right, in the order of the file; sentences without a full stop. */
  checked: string[];
  /** Of a bundle that was read to its end; else null. */
  bundleSha256: string | null;
  /** Whether the private key is in it, as the manifest says. */
  holdsKey: boolean;
  threads: ThreadFinding[];
  moreThreads: number;
}

export interface ThreadFinding {
  thread: string;
  records: number;
  /** The first ones, in canonical order. */
  first: RecordFinding[];
}

export interface RecordFinding {
  id: string;
  act: string;
  actor: string;
  clock: number;
  /** JSON, cut short. */
  body: string;
}

/** How reading ended: verified; the first thing that is wrong; encrypted, and no secret fits; or not read at all. */
export type Verdict = "verified" | "malformed" | "locked" | "failed";

/** From the page to the worker, once. A secret is `AGE-SECRET-KEY-…`, or else a passphrase. */
export interface Task {
  file: File;
  secret: string | null;
}

/** From the worker to the page: any number of `progress`, then one `end`, whose texts are those of an `SplError`. */
export type Report =
  | { kind: "progress"; bytes: number; records: number }
  | { kind: "end"; verdict: Verdict; message: string; hint: string; findings: Findings };

/** Gathers findings from the events of a reader. */
export class Gatherer {
  records = 0;
  #threads = 0;
  readonly #kept: ThreadFinding[] = [];
  /** The thread that the last group belongs to, kept or not. */
  #last: ThreadFinding | null = null;
  readonly #facts: Findings["facts"] = [];
  readonly #checked: string[] = [];
  #holdsKey = false;
  #bundleSha256: string | null = null;

  add(event: BundleEvent): void {
    if (event.kind === "manifest") {
      this.#holdsKey = event.manifest.identity !== "none";
      this.#bundleSha256 = event.manifest.bundle_sha256;
      this.#facts.push(...manifestFacts(event.manifest, event.publicKey));
      this.#checked.push("The manifest is signed by the key that its DID names");
    } else if (event.kind === "identity") {
      const key = event.seed !== null ? ", and so is the private key" : "";
      this.#checked.push(`The DID document and the public key are the manifest's${key}`);
    } else if (event.kind === "signers") {
      this.#facts.push(["Other signers", String(event.signers.length)]);
    } else if (event.kind === "accounts") {
      this.#facts.push(["Service accounts", String(event.accounts.length)]);
      this.#checked.push("The lists of other signers and of service accounts are in order");
    } else if (event.kind === "group") this.#addGroup(event.thread, event.entries);
  }

  #addGroup(thread: string, entries: Entry[]): void {
    if (this.#last?.thread !== thread) {
      this.#threads++;
      this.#last = { thread, records: 0, first: [] };
      if (this.#kept.length < MAX_THREADS) this.#kept.push(this.#last);
    }
    this.#last.records += entries.length;
    this.records += entries.length;
    if (this.#kept.at(-1) !== this.#last) return;
    const room = MAX_RECORDS - this.#last.first.length;
    this.#last.first.push(...entries.slice(0, room).map(recordFinding));
  }

  /** @param digest of a bundle that was read to its end */
  findings(digest: string | null): Findings {
    const checked = [...this.#checked];
    if (this.#threads > 0) {
      const amount = `${counted(this.records, "record")} in ${counted(this.#threads, "thread")}`;
      checked.push(`${amount}, each with its hash, order and signature`);
    }
    const facts: Findings["facts"] = digest === null ? this.#facts : [...this.#facts, ["Digest", digest]];
    return {
      facts: facts.map(([name, value]) => [name, safeText(value)]),
      checked,
      bundleSha256: digest === null ? null : this.#bundleSha256,
      holdsKey: this.#holdsKey,
      threads: this.#kept,
      moreThreads: this.#threads - this.#kept.length,
    };
  }
}

function manifestFacts(manifest: Manifest, publicKey: Uint8Array): Findings["facts"] {
  return [
    ["Source DID", manifest.source_did],
    ["Key fingerprint", fingerprintOf(publicKey)],
    ["Format", `${manifest.format}, version ${manifest.bundle_version}`],
    ["Records", String(manifest.record_count)],
    ["Threads", String(manifest.thread_count)],
    ["Federation pairs", String(manifest.federation_pairs)],
    ["Consent grants", String(manifest.consent_grants)],
    ["Identity", manifest.identity],
    ["Tokens", manifest.tokens],
    ["Records root", manifest.records_root],
    ["Bundle SHA-256", manifest.bundle_sha256],
  ];
}

function recordFinding(entry: Entry): RecordFinding {
  const { act, body } = foldInput(entry);
  const text = JSON.stringify(body);
  return {
    id: entry.id,
    act,
    actor: entry.actor,
    clock: entry.clock,
    body: text.length > MAX_BODY ? `${safeText(text.slice(0, MAX_BODY))}…` : safeText(text),
  };
}
