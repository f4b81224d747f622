import { toHex, utf8 } from "../base/bytes.ts";
import { sha256 } from "../base/sha256.ts";
import type { Group } from "./groups.ts";
import { recordPath, signaturesPath } from "./members.ts";
import type { Manifest } from "./types.ts";

export type Totals = Pick<Manifest, "record_count" | "thread_count" | "records_root" | "bundle_sha256">;
export type MemberObserver = (path: string, size: number, sha256: string) => void;

/** Characters of the list of members that are gathered before they are hashed. */
const GATHER = 64 * 1024;

/** Counts and hashes the members behind `manifest.sig`, in order; writer and reader must come to one result. */
export class Tally {
  #records = 0;
  #threads = 0;
  readonly #root = sha256.stream();
  readonly #members = sha256.stream();
  #gathered = "";
  readonly #observe: MemberObserver | undefined;

  constructor(observe?: MemberObserver) {
    this.#observe = observe;
  }

  get records(): number {
    return this.#records;
  }

  add(path: string, data: Uint8Array): void {
    this.#list(path, data.length, toHex(sha256.hash(data)));
  }

  /** A group with its encoded signatures. A record's id is the SHA-256 of its member. */
  addGroup<T extends { id: string }>(
    { thread, k, items }: Group<T>,
    signatures: Uint8Array,
    sizeOf: (item: T) => number,
  ): void {
    this.add(signaturesPath(thread, k), signatures);
    let ids = "";
    for (const item of items) {
      this.#list(recordPath(thread, item.id), sizeOf(item), item.id);
      ids += item.id;
    }
    this.#root.update(Uint8Array.fromHex(ids));
    this.#records += items.length;
    if (k === 0) this.#threads++;
  }

  /** The result; the tally is spent afterwards. */
  totals(): Totals {
    this.#members.update(utf8(this.#gathered));
    return {
      record_count: this.#records,
      thread_count: this.#threads,
      records_root: toHex(this.#root.digest()),
      bundle_sha256: toHex(this.#members.digest()),
    };
  }

  #list(path: string, size: number, hash: string): void {
    this.#observe?.(path, size, hash);
    this.#gathered += `${path}\0${size}\0${hash}\n`;
    if (this.#gathered.length < GATHER) return;
    this.#members.update(utf8(this.#gathered));
    this.#gathered = "";
  }
}

/** The first of the totals in which two results differ, or null. */
export function difference(a: Totals, b: Totals): keyof Totals | null {
  const names = ["record_count", "thread_count", "records_root", "bundle_sha256"] as const;
  return names.find((name) => a[name] !== b[name]) ?? null;
}
