/** Media types and header names that both ends of the API use. */

export const JSON_TYPE = "application/json";
/** One JSON text per line, LF (github.com/ndjson/ndjson-spec). An empty line is a sign of life. */
export const NDJSON_TYPE = "application/x-ndjson";
/** Server-sent events (HTML standard, section 9.2). */
export const EVENTS_TYPE = "text/event-stream";
export const HTML_TYPE = "text/html";
export const SCRIPT_TYPE = "text/javascript";
/** Prometheus text exposition format; answers add its version. */
export const METRICS_TYPE = "text/plain";
/** A bundle, compressed or not, encrypted or not. */
export const BUNDLE_TYPE = "application/octet-stream";
/** RFC 9457. */
export const PROBLEM_TYPE = "application/problem+json";

/** The release of the instance that answers, in every answer: no other program's JSON passes for an instance's. */
export const VERSION_HEADER = "spl-version";

/** The manifest of the bundle in the body: base64url of its canonical JSON. */
export const MANIFEST_HEADER = "spl-manifest";

/** An endpoint statement: base64url of its JSON. */
export const STATEMENT_HEADER = "syncropel-statement";
