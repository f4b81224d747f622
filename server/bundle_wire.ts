import type { Problem } from "../lib/api/problem.ts";
import type { Manifest } from "../lib/bundle/types.ts";
import type { ActorImportOptions, ActorImportSummary } from "../lib/instance/actor_import.ts";
import type { CheckedImportOptions } from "../lib/instance/checked_import.ts";
import type {
  Adoption,
  BundleVerified,
  ExportOptions,
  ImportSummary,
  RollbackOptions,
  RollbackSummary,
} from "../lib/instance/types.ts";

/** What main thread and bundle worker say to each other. One worker does one job, then it is ended. */
export type ToWorker =
  | { kind: "export"; home: string; options: ExportOptions }
  | { kind: "import"; home: string; options: CheckedImportOptions }
  | { kind: "actor-import"; home: string; options: ActorImportOptions }
  | { kind: "rollback"; home: string; options: RollbackOptions }
  | { kind: "abort"; problem: Problem }
  /** The answer to `adopting`: go on. */
  | { kind: "adopt" }
  | Flow;

export type FromWorker =
  | { kind: "manifest"; manifest: Manifest }
  | { kind: "verified"; verified: BundleVerified }
  /** An identity is about to be adopted; waits to be told that what is known of it has been learnt. */
  | { kind: "adopting"; adoption: Adoption }
  | { kind: "imported"; summary: ImportSummary }
  | { kind: "actor-imported"; summary: ActorImportSummary }
  | { kind: "exported" }
  | { kind: "rolled-back"; summary: RollbackSummary }
  /** `trace` is for the log, of errors that nobody foresaw. */
  | { kind: "failed"; problem: Problem; trace: string | null }
  | Flow;

/** The bundle's bytes, in either direction. */
export type Flow = { kind: "chunk"; bytes: Uint8Array } | { kind: "end" } | { kind: "taken"; bytes: number };

type Post = (message: Flow, transfer?: Bun.Transferable[]) => void;

/** Bytes per message: large enough that their number costs nothing. */
const BATCH_BYTES = 512 * 1024;
/** Bytes that may be on their way before the other side has taken them: what a slow reader costs in memory. */
const WINDOW_BYTES = 4 * 1024 * 1024;

/** Sends bytes to the other thread, never more than a window ahead of what was taken there. */
export class ChunkSender {
  #batch = new Uint8Array(BATCH_BYTES);
  #filled = 0;
  #ahead = 0;
  #failed: { error: unknown } | null = null;
  #room = Promise.withResolvers<void>();

  constructor(readonly post: Post) {}

  async send(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.length; ) {
      const part = chunk.subarray(at, at + BATCH_BYTES - this.#filled);
      this.#batch.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled === BATCH_BYTES) await this.#flush();
    }
  }

  async end(): Promise<void> {
    if (this.#filled > 0) await this.#flush();
    this.post({ kind: "end" });
  }

  taken(bytes: number): void {
    this.#ahead -= bytes;
    this.#room.resolve();
  }

  /** The other side takes nothing any more: `send` throws. */
  fail(error: unknown): void {
    this.#failed ??= { error };
    this.#room.resolve();
  }

  async #flush(): Promise<void> {
    while (!this.#failed && this.#ahead >= WINDOW_BYTES) {
      await this.#room.promise;
      this.#room = Promise.withResolvers<void>();
    }
    if (this.#failed) throw this.#failed.error;
    const bytes = this.#batch.subarray(0, this.#filled);
    this.#ahead += bytes.length;
    this.#batch = new Uint8Array(BATCH_BYTES);
    this.#filled = 0;
    this.post({ kind: "chunk", bytes }, [bytes.buffer as ArrayBuffer]);
  }
}

/** The bytes that the other thread sends, each taken when the next is asked for. */
export class ChunkReceiver {
  readonly #queue: Uint8Array[] = [];
  #state: { ended: false } | { ended: true; error: unknown } = { ended: false };
  #news = Promise.withResolvers<void>();

  constructor(readonly post: Post) {}

  push(bytes: Uint8Array): void {
    this.#queue.push(bytes);
    this.#news.resolve();
  }

  /** No more comes; with an error, the reader meets it at once. */
  end(error?: unknown): void {
    if (this.#state.ended) return;
    if (error !== undefined) this.#queue.length = 0;
    this.#state = { ended: true, error };
    this.#news.resolve();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      const chunk = this.#queue.shift();
      if (chunk) {
        yield chunk;
        this.post({ kind: "taken", bytes: chunk.length });
      } else if (this.#state.ended) {
        if (this.#state.error !== undefined) throw this.#state.error;
        return;
      } else {
        await this.#news.promise;
        this.#news = Promise.withResolvers<void>();
      }
    }
  }
}
