import { closeSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { concatBytes, fromUtf8, toHex, utf8 } from "../base/bytes.ts";
import { fileError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import type { Entry } from "../record/types.ts";
import { SPOOL_PREFIX } from "./home.ts";

const SIG_BYTES = 64;
const LENGTH_BYTES = 4;

/** What of a group is text; signatures and canonical bytes follow it raw, in the same order. */
interface GroupHead {
  thread: string;
  rows: [id: string, clock: number, actor: string, judgedBy: string | null, signer: string, size: number][];
}

/**
 * Checked groups of a bundle on disk, between their verification and the one transaction that inserts them,
 * so that an import of any size needs the memory of one group. A group is: length of the head (4 bytes,
 * big-endian), head (JSON), signatures, canonical bytes. The file is private to this process and removed by
 * `close`; what a killed process left is removed at the next start.
 */
export class Spool {
  readonly #path: string;
  readonly #fd: number;

  constructor(folder: string, random: Random) {
    this.#path = join(folder, `${SPOOL_PREFIX}${toHex(random(8))}.spool`);
    try {
      this.#fd = openSync(this.#path, "wx+", 0o600);
    } catch (error) {
      throw fileError(error, "write", this.#path);
    }
  }

  /** @throws SplError disk_full */
  write(thread: string, entries: Entry[]): void {
    const head: GroupHead = {
      thread,
      rows: entries.map((e) => [e.id, e.clock, e.actor, e.judged_by, e.signer, e.canonical.length]),
    };
    const text = utf8(JSON.stringify(head));
    const length = new Uint8Array(LENGTH_BYTES);
    new DataView(length.buffer).setUint32(0, text.length);
    const block = concatBytes(length, text, ...entries.map((e) => e.sig), ...entries.map((e) => e.canonical));
    try {
      for (let at = 0; at < block.length; ) at += writeSync(this.#fd, block, at);
    } catch (error) {
      throw fileError(error, "write", this.#path);
    }
  }

  /** The groups again, in the order in which they were written. Can be called several times. */
  *groups(): Generator<Entry[]> {
    let at = 0;
    const read = (size: number): Uint8Array | null => {
      const bytes = new Uint8Array(size);
      for (let got = 0; got < size; ) {
        const n = readSync(this.#fd, bytes, got, size - got, at);
        if (n === 0) return null;
        got += n;
        at += n;
      }
      return bytes;
    };
    for (let length = read(LENGTH_BYTES); length; length = read(LENGTH_BYTES)) {
      const text = read(new DataView(length.buffer).getUint32(0));
      const { thread, rows } = JSON.parse(fromUtf8(text!)!) as GroupHead;
      const sigs = read(rows.length * SIG_BYTES)!;
      const canonical = read(rows.reduce((sum, row) => sum + row[5], 0))!;
      let start = 0;
      yield rows.map(([id, clock, actor, judged_by, signer, size], i) => {
        const sig = sigs.subarray(i * SIG_BYTES, (i + 1) * SIG_BYTES);
        const bytes = canonical.subarray(start, start + size);
        start += size;
        return { id, thread, clock, actor, judged_by, signer, sig, canonical: bytes };
      });
    }
  }

  close(): void {
    closeSync(this.#fd);
    rmSync(this.#path, { force: true });
  }
}
