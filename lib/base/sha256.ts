/** SHA-256 (FIPS 180-4) by Bun's native code. `sha256.noble.ts` is the same interface where Bun is not. */

export interface Sha256Stream {
  update(bytes: Uint8Array): void;
  /** 32 bytes; the stream is spent afterwards. */
  digest(): Uint8Array;
}

export interface Sha256 {
  hash(bytes: Uint8Array): Uint8Array;
  stream(): Sha256Stream;
}

class NativeStream implements Sha256Stream {
  readonly #hasher = new Bun.SHA256();
  update(bytes: Uint8Array): void {
    this.#hasher.update(bytes);
  }
  digest(): Uint8Array {
    return this.#hasher.digest(new Uint8Array(32)) as Uint8Array;
  }
}

export const sha256: Sha256 = {
  hash: (bytes) => Bun.SHA256.hash(bytes, new Uint8Array(32)) as Uint8Array,
  stream: () => new NativeStream(),
};
