import type { Decrypter, Encrypter } from "age-encryption";
import { SplError } from "../base/errors.ts";
import { malformed } from "./malformed.ts";
import { toStream } from "./pipeline.ts";

/** Bundles as standard age files (age-encryption.org/v1), which the `age` tool opens and writes as well. */

/** Public keys `age1…`, or a passphrase. */
export type EncryptTo = { recipients: string[] } | { passphrase: string };
/** Secret keys `AGE-SECRET-KEY-…`, or a passphrase. */
export type DecryptWith = { identities: string[] } | { passphrase: string };

const MAGIC = "age-encryption.org/v1\n";
/** The list of recipients comes before anything can be checked; no honest one is that long. */
const MAX_HEADER_BYTES = 1024 * 1024;

/** Whether a file starts like a binary age file; 22 bytes decide. */
export function isEncrypted(firstBytes: Uint8Array): boolean {
  return Buffer.from(firstBytes.subarray(0, MAGIC.length)).toString("latin1") === MAGIC;
}

/** What opens an age file. */
export type LockKind = "passphrase" | "key";

/** By the first bytes of an age file; 64 decide. A passphrase has the whole header to itself (age-encryption.org/v1). */
export function lockKind(firstBytes: Uint8Array): LockKind {
  const header = Buffer.from(firstBytes).toString("latin1");
  return header.startsWith(`${MAGIC}-> scrypt `) ? "passphrase" : "key";
}

/**
 * The secret keys of a key file as `age-keygen` writes it: one a line, `#` starts a comment.
 * @throws SplError usage when there is none
 */
export function parseKeyFile(text: string): string[] {
  const keys = text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
  if (keys.length === 0 || keys.some((key) => !key.startsWith("AGE-SECRET-KEY-"))) {
    throw new SplError("usage", "the file holds no age secret key", {
      hint: "it needs a line AGE-SECRET-KEY-…, as age-keygen writes it",
    });
  }
  return keys;
}

/**
 * Refuses what `encryptStream` would refuse, before there is anything to encrypt.
 * @throws SplError usage for an empty list, a malformed recipient, an empty passphrase
 */
export async function checkEncryptTo(to: EncryptTo): Promise<void> {
  const { Encrypter } = await import("age-encryption");
  addressed(new Encrypter(), to);
}

/** @throws SplError usage as `checkEncryptTo` */
export async function* encryptStream(
  chunks: AsyncIterable<Uint8Array>,
  to: EncryptTo,
): AsyncGenerator<Uint8Array> {
  const { Encrypter } = await import("age-encryption");
  yield* await addressed(new Encrypter(), to).encrypt(toStream(chunks));
}

/**
 * The content of an age file. Every chunk is authenticated before it comes out; an end that was cut off throws.
 * @throws SplError bundle_locked (no key or passphrase fits), bundle_malformed (damaged or cut), usage
 */
export async function* decryptStream(
  chunks: AsyncIterable<Uint8Array>,
  using: DecryptWith,
): AsyncGenerator<Uint8Array> {
  const { Decrypter } = await import("age-encryption");
  const decrypter = keyed(new Decrypter(), using);
  const source = new GuardedSource(chunks);
  try {
    const plain = await decrypter.decrypt(toStream(source.chunks()));
    source.headerRead = true;
    yield* plain;
  } catch (error) {
    if (source.failed) throw error;
    if (!source.headerRead && String(error).includes("no identity matched")) throw locked(using);
    throw malformed("age", source.headerRead ? "is damaged or cut off" : "its header is damaged", error);
  }
}

function addressed(encrypter: Encrypter, to: EncryptTo): Encrypter {
  if ("passphrase" in to) {
    if (to.passphrase === "") throw new SplError("usage", "the passphrase is empty");
    encrypter.setPassphrase(to.passphrase);
    return encrypter;
  }
  if (to.recipients.length === 0) throw new SplError("usage", "there is no one to encrypt to");
  for (const recipient of to.recipients) {
    try {
      encrypter.addRecipient(recipient);
    } catch (cause) {
      throw new SplError("usage", `${JSON.stringify(recipient)} is not an age recipient`, {
        hint: "age-keygen -o key.txt makes a key and prints its age1… recipient",
        cause,
      });
    }
  }
  return encrypter;
}

function keyed(decrypter: Decrypter, using: DecryptWith): Decrypter {
  if ("passphrase" in using) {
    decrypter.addPassphrase(using.passphrase);
    return decrypter;
  }
  for (const identity of using.identities) {
    try {
      decrypter.addIdentity(identity);
    } catch (cause) {
      // The key itself must not appear in a message.
      throw new SplError("usage", "a line of the key file is not an age secret key", { cause });
    }
  }
  return decrypter;
}

function locked(using: DecryptWith): SplError {
  return "passphrase" in using
    ? new SplError("bundle_locked", "the passphrase does not open this bundle", {
        hint: "if it was encrypted to a key, pass --decrypt-key FILE",
      })
    : new SplError("bundle_locked", "none of the keys opens this bundle", {
        hint: "pass --decrypt-key FILE with the key it was encrypted to",
      });
}

/** Tells errors of the source from those of the decoder, and bounds the header. */
class GuardedSource {
  headerRead = false;
  failed = false;
  readonly #chunks: AsyncIterable<Uint8Array>;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks;
  }

  async *chunks(): AsyncGenerator<Uint8Array> {
    let given = 0;
    try {
      for await (const chunk of this.#chunks) {
        if (!this.headerRead && given > MAX_HEADER_BYTES) throw malformed("age", "its header has no end");
        given += chunk.length;
        yield chunk;
      }
    } catch (error) {
      this.failed = true;
      throw error;
    }
  }
}
