import { sha256 as noble } from "@noble/hashes/sha2.js";
import type { Sha256 } from "./sha256.ts";

/** SHA-256 in plain JavaScript: for browsers, and the cross-check of the native one in tests. */
export const nobleSha256: Sha256 = {
  hash: (bytes) => noble(bytes),
  stream: () => {
    const hasher = noble.create();
    return { update: (bytes) => void hasher.update(bytes), digest: () => hasher.digest() };
  },
};

/** Stands in for `sha256.ts` in browsers (package.json, `browser`). */
export { nobleSha256 as sha256 };
