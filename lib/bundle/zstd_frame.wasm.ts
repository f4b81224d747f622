import { ZSTDDecoder } from "zstddec";

const decoder = new ZSTDDecoder();

/** By the reference implementation in WebAssembly; stands in for `zstd_frame.ts` in browsers (package.json, `browser`). */
export async function decompressFrame(frame: Uint8Array, contentSize: number): Promise<Uint8Array> {
  await decoder.init();
  const plain = decoder.decode(frame, contentSize);
  // Its error codes are negative sizes, which come out as nothing.
  if (plain.length === 0) throw new Error("the decoder refuses the frame");
  return plain;
}
