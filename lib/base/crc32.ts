/** CRC-32 (RFC 1952, section 8) of more bytes behind a sum of those before, natively; `crc32.plain.ts` where Bun is not. */
export { crc32 } from "node:zlib";
