import "./buffer.ts";
import { SplError } from "../../../lib/base/errors.ts";
import { type DecryptWith, decryptStream } from "../../../lib/bundle/encrypt.ts";
import { inspectBundle } from "../../../lib/instance/inspect.ts";
import { Gatherer, type Report, type Task, type Verdict } from "./findings.ts";

/** The worker of the pages that verify a bundle: reads one file, as `spl verify` does, and tells the page what is in it. */

const SLICE_BYTES = 1024 * 1024;

const gatherer = new Gatherer();

addEventListener("message", ({ data }: MessageEvent<Task>) => void inspect(data), { once: true });

async function inspect({ file, secret }: Task): Promise<void> {
  const chunks = secret === null ? slices(file) : decryptStream(slices(file), secretOf(secret));
  try {
    const { digest } = await inspectBundle(chunks, { onEvent: (event) => gatherer.add(event) });
    tell({ kind: "end", verdict: "verified", message: "", hint: "", findings: gatherer.findings(digest) });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const hint = error instanceof SplError ? (error.hint ?? "") : "";
    tell({ kind: "end", verdict: verdictOf(error), message, hint, findings: gatherer.findings(null) });
  }
}

/** The file's bytes; each slice is told before it is read on, which is when the one before has been verified. */
async function* slices(file: File): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < file.size; at += SLICE_BYTES) {
    tell({ kind: "progress", bytes: at, records: gatherer.records });
    yield new Uint8Array(await file.slice(at, at + SLICE_BYTES).arrayBuffer());
  }
  tell({ kind: "progress", bytes: file.size, records: gatherer.records });
}

/** A key file that was pasted whole comes in one line. */
function secretOf(text: string): DecryptWith {
  const identities = text.match(/AGE-SECRET-KEY-[0-9A-Z-]+/g);
  return identities === null ? { passphrase: text } : { identities };
}

function verdictOf(error: unknown): Verdict {
  if (!(error instanceof SplError)) return "failed";
  if (error.code === "bundle_malformed" || error.code === "verification_failed") return "malformed";
  return error.code === "bundle_locked" || error.code === "usage" ? "locked" : "failed";
}

function tell(report: Report): void {
  postMessage(report);
}
