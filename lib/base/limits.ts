/** Bounds that are checked before anything of that size is believed. Sizes in bytes unless named otherwise. */

/** A record's canonical body (spec, section 2). */
export const MAX_BODY_BYTES = 1024 * 1024;
/** Nesting of arrays and objects in a body; the body itself is level 1. */
export const MAX_BODY_DEPTH = 64;
/** Parents of one record. */
export const MAX_PARENTS = 64;
/** A DID, in ASCII bytes. */
export const MAX_DID_BYTES = 256;
/** What a thread id may have behind `th_`. */
export const MAX_THREAD_NAME = 128;
/** A whole record's canonical bytes: the body and at most 64 parents, two DIDs and the field names. */
export const MAX_RECORD_BYTES = MAX_BODY_BYTES + 8 * 1024;
/** One line of `emit` before it is parsed: white space and escapes may blow a record up to six times. */
export const MAX_LINE_BYTES = 8 * 1024 * 1024;
/** What a fold keeps of a body, in UTF-16 code units: a display name or namespace, and a URL. Longer ones do not count. */
export const MAX_LABEL = 256;
export const MAX_URL = 2048;
/** How far above a thread's highest clock a foreign clock may lie. */
export const MAX_CLOCK_JUMP = 2 ** 32;

/** A group of records in a bundle: whichever is reached first. */
export const GROUP_RECORDS = 4096;
export const GROUP_BYTES = 4 * 1024 * 1024;
/** Plain bytes in one compressed frame that `spl` writes. */
export const FRAME_BYTES = 4 * 1024 * 1024;
/** Plain bytes in, and window of, one compressed frame that `spl` reads. */
export const MAX_FRAME_BYTES = 8 * 1024 * 1024;
/** `manifest.json`. */
export const MAX_MANIFEST_BYTES = 64 * 1024;
/** One `signatures-<k>.jsonl`: 4,096 lines of at most 600 bytes. */
export const MAX_SIGNATURES_BYTES = 4 * 1024 * 1024;
/** One of the lists under `identity/` and `accounts/`. */
export const MAX_LIST_BYTES = 16 * 1024 * 1024;
/** Records one bundle may claim. */
export const MAX_BUNDLE_RECORDS = 1_000_000_000;

/** A bootstrap token's life (spec, section 7), milliseconds. */
export const BOOTSTRAP_MS = 60 * 60 * 1000;
