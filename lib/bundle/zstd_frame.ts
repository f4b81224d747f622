/**
 * The content of one Zstandard frame, natively; `zstd_frame.wasm.ts` where Bun is not. The size is the one that the frame's
 * header promises, which the caller has bounded and compares with what comes out.
 * @throws Error when the frame is damaged
 */
export function decompressFrame(frame: Uint8Array, _contentSize: number): Promise<Uint8Array> {
  return Bun.zstdDecompress(frame);
}
