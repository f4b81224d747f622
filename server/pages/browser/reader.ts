import type { Report, Task } from "./findings.ts";

/** What the readers need that came last to browsers, in 2024 and 2025. */
export function canRead(): boolean {
  return "fromHex" in Uint8Array && Symbol.asyncIterator in ReadableStream.prototype;
}

/**
 * Has a worker verify a file; to terminate it ends that.
 * @param onBroken the worker did not load, or broke
 */
export function readBundle(task: Task, onReport: (report: Report) => void, onBroken: () => void): Worker {
  // Relative, so that a path prefix stays. It is fetched only now: it is large.
  const worker = new Worker("bundle/worker.js", { type: "module" });
  worker.onmessage = ({ data }: MessageEvent<Report>) => onReport(data);
  worker.onerror = (event) => {
    event.preventDefault();
    onBroken();
  };
  worker.postMessage(task);
  return worker;
}
