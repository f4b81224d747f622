import { closeSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { resolve } from "node:path";
import { AtomicFile } from "../lib/base/atomic_file.ts";
import { fileError, SplError } from "../lib/base/errors.ts";
import type { DecryptWith, EncryptTo, LockKind } from "../lib/bundle/encrypt.ts";
import { ClosedPipe } from "../lib/ui/streams.ts";
import type { ArgValues, Context } from "./_kit.ts";

const CHUNK_BYTES = 1024 * 1024;

/** Spread into the arguments of every command that reads a bundle. */
export const decryptArgs = {
  decryptKey: {
    type: "string",
    valueHint: "FILE",
    description:
      "age key file that opens an encrypted bundle (else a passphrase is asked for, or SPL_PASSPHRASE)",
  },
} as const;

/** Spread into the arguments of every command that writes a bundle. */
export const encryptArgs = {
  encryptTo: {
    type: "string",
    valueHint: "AGE1…",
    description: "encrypt with age to these recipients, separated by commas",
  },
  passphrase: { type: "boolean", description: "encrypt with a passphrase, asked for or in SPL_PASSPHRASE" },
} as const;

/**
 * The plain bytes of a bundle file, or of standard input for `-`, decrypted where it is an age file.
 * @throws SplError file_unreadable, bundle_locked, usage
 */
export async function* readBundleFile(
  ctx: Context,
  path: string,
  { decryptKey }: { readonly decryptKey: string | undefined },
): AsyncGenerator<Uint8Array> {
  const chunks = path === "-" ? Bun.stdin.stream() : fileChunks(resolve(ctx.cwd, path));
  yield* plainBundle(chunks, (kind) => unlock(ctx, path, decryptKey, kind));
}

/** The plain bytes of a bundle, decrypted where they are an age file. @throws SplError bundle_locked */
export async function* plainBundle(
  chunks: AsyncIterable<Uint8Array>,
  unlock: (kind: LockKind) => Promise<DecryptWith>,
): AsyncGenerator<Uint8Array> {
  const [{ isEncrypted, lockKind, decryptStream }, { peek }] = await Promise.all([
    import("../lib/bundle/encrypt.ts"),
    import("../lib/bundle/pipeline.ts"),
  ]);
  const { head, all } = await peek(chunks, 64);
  yield* isEncrypted(head) ? decryptStream(all, await unlock(lockKind(head))) : all;
}

/** A file in chunks of 1 MiB. */
export async function* fileChunks(path: string): AsyncGenerator<Uint8Array> {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (error) {
    throw fileError(error, "read", path);
  }
  try {
    if (fstatSync(fd).isDirectory())
      throw fileError({ code: "EISDIR" }, "read", path).retold({ hint: "name a file" });
    for (;;) {
      const chunk = new Uint8Array(CHUNK_BYTES);
      const size = readSync(fd, chunk);
      if (size === 0) return;
      yield chunk.subarray(0, size);
    }
  } catch (error) {
    throw fileError(error, "read", path);
  } finally {
    closeSync(fd);
  }
}

async function unlock(
  ctx: Context,
  path: string,
  keyFile: string | undefined,
  kind: LockKind,
): Promise<DecryptWith> {
  if (keyFile !== undefined) {
    const { parseKeyFile } = await import("../lib/bundle/encrypt.ts");
    return { identities: parseKeyFile(readKeyFile(resolve(ctx.cwd, keyFile))) };
  }
  if (ctx.env.SPL_PASSPHRASE) return { passphrase: ctx.env.SPL_PASSPHRASE };
  return askToUnlock(kind, ctx.interactive && path !== "-");
}

/** @throws SplError bundle_locked where only a key opens it, usage where there is nobody to ask for the passphrase */
export async function askToUnlock(kind: LockKind, interactive: boolean): Promise<DecryptWith> {
  if (kind === "key") {
    throw new SplError("bundle_locked", "the bundle is encrypted to a key", {
      hint: "pass --decrypt-key FILE with the key it was encrypted to",
    });
  }
  const hint = "put it in SPL_PASSPHRASE";
  const { promptPassphrase } = await import("../lib/ui/prompt.ts");
  return {
    passphrase: await promptPassphrase("The bundle's passphrase", { interactive, twice: false, hint }),
  };
}

export function readKeyFile(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw fileError(error, "read the key file", path);
  }
}

/**
 * How the flags want a bundle encrypted, or null for not at all.
 * @throws SplError usage (no age recipient, no passphrase, nobody to ask for one)
 */
export async function encryptionOf(
  ctx: Context,
  { encryptTo, passphrase }: ArgValues<typeof encryptArgs>,
): Promise<EncryptTo | null> {
  if (encryptTo !== undefined) {
    const to = { recipients: encryptTo.split(",").map((recipient) => recipient.trim()) };
    await (await import("../lib/bundle/encrypt.ts")).checkEncryptTo(to);
    return to;
  }
  if (!passphrase) return null;
  if (ctx.env.SPL_PASSPHRASE) return { passphrase: ctx.env.SPL_PASSPHRASE };
  const { promptPassphrase } = await import("../lib/ui/prompt.ts");
  const hint = "put it in SPL_PASSPHRASE, or pass --encrypt-to";
  return {
    passphrase: await promptPassphrase("Passphrase for the bundle", {
      interactive: ctx.interactive,
      twice: true,
      hint,
    }),
  };
}

/**
 * Writes a file that appears whole or not at all, or standard output for `-`. Returns the bytes written.
 * @throws SplError disk_full, file_unreadable (also when standard output is closed before the end)
 */
export function writeBundleFile(
  ctx: Context,
  path: string,
  chunks: AsyncIterable<Uint8Array>,
): Promise<number> {
  return path === "-" ? toStdout(ctx, chunks) : toFile(ctx, resolve(ctx.cwd, path), chunks);
}

async function toFile(ctx: Context, path: string, chunks: AsyncIterable<Uint8Array>): Promise<number> {
  const file = new AtomicFile(path);
  try {
    for await (const chunk of chunks) {
      ctx.signal.throwIfAborted();
      file.write(chunk);
      ctx.progress.update(`${(file.bytes / 1e6).toFixed(1)} MB written`);
    }
  } catch (error) {
    file.abort();
    throw error;
  }
  file.commit();
  return file.bytes;
}

async function toStdout(ctx: Context, chunks: AsyncIterable<Uint8Array>): Promise<number> {
  let bytes = 0;
  try {
    for await (const chunk of chunks) {
      await ctx.out.write(chunk);
      bytes += chunk.length;
    }
    await ctx.out.flush();
  } catch (error) {
    if (!(error instanceof ClosedPipe)) throw error;
    throw new SplError("file_unreadable", "standard output was closed before the bundle was complete", {
      cause: error,
    });
  }
  return bytes;
}
