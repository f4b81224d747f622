import { SCRIPT_TYPE } from "../../lib/api/media.ts";
import { browserBundle } from "./bundle.ts" with { type: "macro" };

const SCRIPT = browserBundle("server/pages/browser/inspector.ts");

/**
 * A worker from an address has a policy of its own, so that the page itself needs none of this: WebAssembly decodes
 * Zstandard, and its code is fetched from a `data:` URL. Nothing else can be fetched, and nothing sent.
 */
const POLICY = "default-src 'none'; script-src 'wasm-unsafe-eval'; connect-src data:";

/** The script of the worker that reads a bundle on the bundle page, and on that of an owner's instances. */
export function bundleWorker(): Response {
  return new Response(SCRIPT, {
    headers: { "content-type": `${SCRIPT_TYPE}; charset=utf-8`, "content-security-policy": POLICY },
  });
}
