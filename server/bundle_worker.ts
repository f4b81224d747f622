import { fromProblem, toProblem, toSplError } from "../lib/api/problem.ts";
import { SplError } from "../lib/base/errors.ts";
import { MAX_ACTOR_LINE } from "../lib/bundle/actor_file.ts";
import { type ActorImportOptions, importActor } from "../lib/instance/actor_import.ts";
import { type CheckedImportOptions, importChecked } from "../lib/instance/checked_import.ts";
import { exportBundle } from "../lib/instance/export.ts";
import { Instance } from "../lib/instance/instance.ts";
import { rollBack } from "../lib/instance/rollback.ts";
import type { Adoption, BundleVerified, ExportOptions, RollbackOptions } from "../lib/instance/types.ts";
import { ChunkReceiver, ChunkSender, type Flow, type FromWorker, type ToWorker } from "./bundle_wire.ts";
import { splitLines } from "./stages/lines.ts";

/**
 * Exports or imports one bundle, imports one actor, or undoes imports, over a store connection of its own, so that the main
 * thread goes on answering. The first message says which; `exported`, `imported`, `actor-imported`, `rolled-back` or `failed`
 * is the last thing that it says.
 */

declare const self: Worker;

const say = (message: FromWorker, transfer: Bun.Transferable[] = []) => self.postMessage(message, transfer);
const output = new ChunkSender(flow);
const input = new ChunkReceiver(flow);
const answered = Promise.withResolvers<void>();
// Where nobody waits for it, its end is no error.
answered.promise.catch(() => undefined);

/** Messages between two collections: some 4 MiB of the bundle, sent or taken. */
const COLLECT_EVERY = 8;
let flowed = 0;

/** The engine lets garbage grow with the machine's memory; a bundle of any size is to cost the same. */
function flow(message: Flow, transfer?: Bun.Transferable[]): void {
  say(message, transfer);
  if (++flowed % COLLECT_EVERY === 0) Bun.gc(true);
}

self.onmessage = ({ data }: MessageEvent<ToWorker>) => {
  if (data.kind === "export") report(exporting(data.home, data.options));
  else if (data.kind === "import") report(importing(data.home, data.options));
  else if (data.kind === "actor-import") report(importingActor(data.home, data.options));
  else if (data.kind === "rollback") report(rollingBack(data.home, data.options));
  else if (data.kind === "chunk") input.push(data.bytes);
  else if (data.kind === "end") input.end();
  else if (data.kind === "taken") output.taken(data.bytes);
  else if (data.kind === "adopt") answered.resolve();
  else {
    const reason = fromProblem(data.problem);
    input.end(reason);
    output.fail(reason);
    answered.reject(reason);
  }
};

async function exporting(home: string, options: ExportOptions): Promise<FromWorker> {
  const { manifest, chunks, close } = await exportBundle(home, options);
  try {
    say({ kind: "manifest", manifest });
    for await (const chunk of chunks) await output.send(chunk);
    await output.end();
  } finally {
    await close();
  }
  return { kind: "exported" };
}

async function importing(home: string, options: CheckedImportOptions): Promise<FromWorker> {
  const onVerified = (verified: BundleVerified) => say({ kind: "verified", verified });
  const beforeAdoption = (adoption: Adoption) => {
    say({ kind: "adopting", adoption });
    return answered.promise;
  };
  const summary = await importChecked(home, input, options, { onVerified, beforeAdoption });
  return { kind: "imported", summary };
}

async function importingActor(home: string, options: ActorImportOptions): Promise<FromWorker> {
  await using open = new AsyncDisposableStack();
  const instance = await Instance.open(home, {}, { bulk: true });
  open.defer(() => instance.close());
  const summary = await importActor(instance, splitLines(input, MAX_ACTOR_LINE), options);
  // The import is done. Where the disk is full, this has to wait for the next commit.
  await instance.store.checkpoint().catch(() => undefined);
  return { kind: "actor-imported", summary };
}

async function rollingBack(home: string, options: RollbackOptions): Promise<FromWorker> {
  return { kind: "rolled-back", summary: await rollBack(home, options) };
}

async function report(job: Promise<FromWorker>): Promise<void> {
  const failed = (error: unknown): FromWorker => ({
    kind: "failed",
    problem: toProblem(error),
    trace: traceOf(error),
  });
  say(await job.catch(failed));
  // Nothing keeps the thread any more, so it ends. From outside, the engine would interrupt it with signals, and wait
  // for ever for one that a debugger or tracer swallows.
  self.onmessage = null;
}

function traceOf(error: unknown): string | null {
  if (error instanceof SplError && error.code !== "internal") return null;
  const cause = toSplError(error).cause ?? error;
  return cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
}
