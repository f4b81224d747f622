import { Buffer } from "node:buffer";

/** The readers of a bundle use Node's `Buffer`, which a browser lacks; import this before them. */
globalThis.Buffer = Buffer;
