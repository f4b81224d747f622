declare module "zstd-codec" {
  interface Simple {
    /** The content of one frame, or null when it does not decode. */
    decompress(frame: Uint8Array): Uint8Array | null;
  }
  export const ZstdCodec: {
    run(ready: (codec: { Simple: new () => Simple }) => void): void;
  };
}
