import { fromProblem, toProblem } from "../lib/api/problem.ts";
import { SplError } from "../lib/base/errors.ts";
import { workerSpecifier } from "../lib/base/runtime.ts";
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
import { ChunkReceiver, ChunkSender, type Flow, type FromWorker, type ToWorker } from "./bundle_wire.ts";
import type { Log } from "./log.ts";

/** Each running export holds a snapshot and a thread. */
const MAX_EXPORTS = 4;
/**
 * An upload that brought nothing for so long gives way to the next import: a machine that vanishes does not close its
 * connections, and would keep everyone out for ever.
 */
const SILENT_MS = 60_000;

type ByteIterator = Required<Pick<AsyncIterator<Uint8Array, undefined, undefined>, "next" | "return">>;

export interface ExportJob {
  manifest: Manifest;
  /** To be read to the end or given up with `return`, which frees the snapshot. */
  chunks: ByteIterator;
}

export interface ImportJob {
  /** Resolves when every byte has been checked and before anything is written. */
  verified: Promise<BundleVerified>;
  imported: Promise<ImportSummary>;
}

/** An import, or a rollback, which has no upload. */
interface Taking {
  worker: BundleWorker;
  upload: Upload | null;
}

/** Runs exports, imports and rollbacks in workers, and knows which are running. */
export class BundleJobs {
  readonly #running = new Set<BundleWorker>();
  readonly #exports = new Set<BundleWorker>();
  /** One at a time. */
  #import: Taking | null = null;
  #stopping: SplError | null = null;

  /** @param clock milliseconds from any beginning, never going back */
  constructor(
    readonly home: string,
    readonly log: Log,
    readonly clock: () => number = () => performance.now(),
  ) {}

  /** @throws SplError store_busy, and what `exportBundle` throws before its first byte */
  async startExport(options: ExportOptions): Promise<ExportJob> {
    while (this.#exports.size >= MAX_EXPORTS) {
      const leaving = [...this.#exports].find((worker) => worker.over);
      if (!leaving) {
        throw new SplError("store_busy", `${MAX_EXPORTS} exports are running already`, {
          hint: "wait for one of them to end and try again",
        });
      }
      await leaving.ended;
    }
    const worker = this.#start();
    this.#exports.add(worker);
    worker.ended.then(() => this.#exports.delete(worker));
    worker.post({ kind: "export", home: this.home, options });
    const manifest = await worker.manifest.promise;
    return { manifest, chunks: worker.chunks() };
  }

  /**
   * Imports what `input` yields. A failing input, such as a client that went away, ends the job and leaves nothing.
   * @param beforeAdoption is waited for before an identity is adopted
   * @throws SplError import_running
   */
  async startImport(
    input: AsyncIterable<Uint8Array>,
    options: CheckedImportOptions,
    beforeAdoption: (adoption: Adoption) => Promise<void> = async () => undefined,
  ): Promise<ImportJob> {
    const worker = await this.#startUpload(input, { kind: "import", home: this.home, options });
    worker.adopting.promise.then(beforeAdoption).then(
      () => worker.post({ kind: "adopt" }),
      (error) => worker.abort(error),
    );
    return { verified: worker.verified.promise, imported: worker.imported.promise };
  }

  /**
   * Imports the actor whose file `input` yields, as `startImport` does a bundle.
   * @throws SplError import_running, and what `importActor` throws
   */
  async importActor(
    input: AsyncIterable<Uint8Array>,
    options: ActorImportOptions,
  ): Promise<ActorImportSummary> {
    const worker = await this.#startUpload(input, { kind: "actor-import", home: this.home, options });
    return worker.actorImported.promise;
  }

  async #startUpload(input: AsyncIterable<Uint8Array>, job: ToWorker): Promise<BundleWorker> {
    while (this.#import) await this.#vacate(this.#import);
    const worker = this.#start();
    const upload = new Upload(input, this.clock);
    this.#occupy(worker, upload);
    worker.post(job);
    worker.feed(upload.chunks());
    return worker;
  }

  /** @throws SplError import_running, and what `rollBack` throws */
  async rollBack(options: RollbackOptions): Promise<RollbackSummary> {
    while (this.#import) await this.#vacate(this.#import);
    const worker = this.#start();
    this.#occupy(worker, null);
    worker.post({ kind: "rollback", home: this.home, options });
    return worker.rolledBack.promise;
  }

  #occupy(worker: BundleWorker, upload: Upload | null): void {
    this.#import = { worker, upload };
    worker.ended.then(() => {
      this.#import = null;
    });
  }

  /** Waits until what was running is over, and ends it where it only waits itself. @throws SplError import_running */
  async #vacate({ worker, upload }: Taking): Promise<void> {
    if (!worker.over) {
      if (upload === null || this.clock() - upload.heardAt < SILENT_MS) {
        throw new SplError("import_running", `${upload ? "an import" : "a rollback"} is running already`, {
          hint: "wait for it to end and try again",
        });
      }
      worker.abort(
        new SplError("import_running", "nothing came of the bundle for a minute, and another import began", {
          hint: "import it again when the other has ended",
        }),
      );
    }
    await worker.ended;
  }

  /** Ends what can be ended without loss: exports and uploads. An import that commits is waited for. */
  async stop(): Promise<void> {
    this.#stopping = new SplError("store_busy", "the instance is stopping", {
      hint: "try again when it runs",
    });
    for (const worker of this.#running) worker.abort(this.#stopping);
    await Promise.all([...this.#running].map((worker) => worker.ended));
  }

  #start(): BundleWorker {
    if (this.#stopping) throw this.#stopping;
    const worker = new BundleWorker(this.log);
    this.#running.add(worker);
    worker.ended.then(() => this.#running.delete(worker));
    return worker;
  }
}

/** A bundle on its way in. */
class Upload {
  /** When bytes last came; never, once all are here. */
  heardAt: number;

  constructor(
    readonly input: AsyncIterable<Uint8Array>,
    readonly clock: () => number,
  ) {
    this.heardAt = clock();
  }

  async *chunks(): AsyncGenerator<Uint8Array> {
    for await (const chunk of this.input) {
      this.heardAt = this.clock();
      yield chunk;
    }
    this.heardAt = Number.POSITIVE_INFINITY;
  }
}

/** The main thread's end of one worker. */
class BundleWorker {
  readonly manifest = handled<Manifest>();
  readonly verified = handled<BundleVerified>();
  readonly imported = handled<ImportSummary>();
  readonly actorImported = handled<ActorImportSummary>();
  readonly rolledBack = handled<RollbackSummary>();
  /** The identity that the import is about to adopt. */
  readonly adopting = handled<Adoption>();
  /** The job has its result; the thread is about to end. */
  over = false;
  /** The thread is gone, and what it held in memory. */
  readonly ended: Promise<void>;
  readonly #worker = new Worker(workerSpecifier("server/bundle_worker.ts"));
  readonly #end = Promise.withResolvers<void>();
  readonly #output: ChunkSender;
  readonly #input: ChunkReceiver;

  constructor(readonly log: Log) {
    const flow = (message: Flow, transfer?: Bun.Transferable[]) => this.post(message, transfer);
    this.#output = new ChunkSender(flow);
    this.#input = new ChunkReceiver(flow);
    this.ended = this.#end.promise;
    this.#worker.onmessage = ({ data }: MessageEvent<FromWorker>) => this.#hear(data);
    this.#worker.onerror = (event) => this.#fail(new Error(event.message));
    this.#worker.addEventListener("close", () => {
      this.#fail(new Error("the bundle worker ended by itself"));
      this.#end.resolve();
    });
  }

  post(message: ToWorker, transfer: Bun.Transferable[] = []): void {
    this.#worker.postMessage(message, transfer);
  }

  /** Sends `input` to the worker. Ends with the job. */
  async feed(input: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      for await (const chunk of input) await this.#output.send(chunk);
      await this.#output.end();
    } catch (error) {
      this.abort(error);
    }
  }

  chunks(): ByteIterator {
    const received = this.#input[Symbol.asyncIterator]();
    return {
      next: () => received.next(),
      // A generator's own `return` would do nothing before its first `next`, and wait during one.
      return: async () => {
        this.abort(new SplError("invalid_request", "the connection ended before the bundle did"));
        return { done: true, value: undefined };
      },
    };
  }

  /** Asks the worker to end early; without effect when it is past that. */
  abort(reason: unknown): void {
    this.post({ kind: "abort", problem: toProblem(reason) });
  }

  #hear(message: FromWorker): void {
    if (message.kind === "chunk") this.#input.push(message.bytes);
    else if (message.kind === "end") this.#input.end();
    else if (message.kind === "taken") this.#output.taken(message.bytes);
    else if (message.kind === "manifest") this.manifest.resolve(message.manifest);
    else if (message.kind === "verified") this.verified.resolve(message.verified);
    else if (message.kind === "adopting") this.adopting.resolve(message.adoption);
    else if (message.kind === "failed") {
      if (message.trace !== null) this.log("bundle-worker-error", { error: message.trace });
      this.#fail(fromProblem(message.problem));
    } else {
      if (message.kind === "imported") this.imported.resolve(message.summary);
      else if (message.kind === "actor-imported") this.actorImported.resolve(message.summary);
      else if (message.kind === "rolled-back") this.rolledBack.resolve(message.summary);
      this.over = true;
    }
  }

  /** Whoever waits for this worker meets the error; where nobody does, nothing happens. */
  #fail(error: unknown): void {
    const results = [this.manifest, this.verified, this.imported, this.actorImported, this.rolledBack];
    for (const { reject } of results) reject(error);
    this.#input.end(error);
    this.#output.fail(error);
    this.over = true;
  }
}

/** A promise that may be rejected before anyone looks at it. */
function handled<T>(): PromiseWithResolvers<T> {
  const resolvers = Promise.withResolvers<T>();
  resolvers.promise.catch(() => undefined);
  return resolvers;
}
