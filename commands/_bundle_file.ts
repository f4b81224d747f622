import { closeSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { resolve } from "node:path";
import { fileError } from "../lib/base/errors.ts";
import type { DecryptWith } from "../lib/bundle/encrypt.ts";
import type { Context } from "./_kit.ts";

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

/**
 * The plain bytes of a bundle file, or of standard input for `-`, decrypted where it is an age file.
 * @throws SplError file_unreadable, bundle_locked, usage
 */
export async function* readBundleFile(
  ctx: Context,
  path: string,
  { decryptKey }: { readonly decryptKey: string | undefined },
): AsyncGenerator<Uint8Array> {
  const [{ isEncrypted, decryptStream }, { peek }] = await Promise.all([
    import("../lib/bundle/encrypt.ts"),
    import("../lib/bundle/pipeline.ts"),
  ]);
  const { head, all } = await peek(
    path === "-" ? Bun.stdin.stream() : fileChunks(resolve(ctx.cwd, path)),
    64,
  );
  yield* isEncrypted(head) ? decryptStream(all, await unlock(ctx, path, decryptKey)) : all;
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
    if (fstatSync(fd).isDirectory()) throw fileError({ code: "EISDIR" }, "read", path);
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

async function unlock(ctx: Context, path: string, keyFile: string | undefined): Promise<DecryptWith> {
  if (keyFile !== undefined) {
    const { parseKeyFile } = await import("../lib/bundle/encrypt.ts");
    return { identities: parseKeyFile(readKeyFile(resolve(ctx.cwd, keyFile))) };
  }
  if (ctx.env.SPL_PASSPHRASE) return { passphrase: ctx.env.SPL_PASSPHRASE };
  const hint = "pass --decrypt-key FILE, or the passphrase in SPL_PASSPHRASE";
  const { promptPassphrase } = await import("../lib/ui/prompt.ts");
  const interactive = ctx.interactive && path !== "-";
  return {
    passphrase: await promptPassphrase("The bundle's passphrase", { interactive, twice: false, hint }),
  };
}

function readKeyFile(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw fileError(error, "read the key file", path);
  }
}
