import { closeSync, openSync, readdirSync, readSync, realpathSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { AtomicFile, clearTemporaries, syncDirectory } from "../base/atomic_file.ts";
import { fileError, SplError, systemCode } from "../base/errors.ts";
import { exists } from "../base/exists.ts";
import { compareAscii, shellWord } from "../base/text.ts";
import type { BackupTarget, StoredFile } from "./types.ts";

const CHUNK_BYTES = 1024 * 1024;

/** A folder of this machine's file system. */
export class FolderTarget implements BackupTarget {
  readonly url: string;

  /** @throws SplError not_found for a folder that is not there: a disk that is not mounted must not be mistaken */
  constructor(path: string) {
    try {
      this.url = realpathSync(path);
      if (!statSync(this.url).isDirectory()) throw fileError({ code: "ENOTDIR" }, "use", path);
    } catch (error) {
      if (systemCode(error) !== "ENOENT") throw fileError(error, "use", path);
      throw noFolder(path, error);
    }
  }

  async list(): Promise<StoredFile[]> {
    return this.#doing("list", "", () =>
      readdirSync(this.url, { withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map(({ name }) => ({ name, bytes: statSync(join(this.url, name)).size }))
        .sort((a, b) => compareAscii(a.name, b.name)),
    );
  }

  async write(name: string, chunks: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    const file = this.#doing("write", name, () => new AtomicFile(join(this.url, name)));
    try {
      for await (const chunk of chunks) {
        signal.throwIfAborted();
        file.write(chunk);
      }
      signal.throwIfAborted();
    } catch (error) {
      file.abort();
      throw error;
    }
    file.commit();
  }

  async *read(name: string): AsyncGenerator<Uint8Array> {
    const path = join(this.url, name);
    const fd = this.#doing("read", name, () => openSync(path, "r"));
    try {
      for (;;) {
        const chunk = new Uint8Array(CHUNK_BYTES);
        const size = this.#doing("read", name, () => readSync(fd, chunk));
        if (size === 0) return;
        yield chunk.subarray(0, size);
      }
    } finally {
      closeSync(fd);
    }
  }

  async remove(name: string): Promise<void> {
    this.#doing("remove", name, () => {
      rmSync(join(this.url, name), { force: true });
      syncDirectory(this.url);
    });
  }

  async clearTemporaries(prefix: string): Promise<void> {
    this.#doing("clear", "", () => clearTemporaries(this.url, prefix));
  }

  #doing<T>(operation: string, name: string, work: () => T): T {
    try {
      return work();
    } catch (error) {
      // Its disk was unmounted, or somebody removed it, since it was opened.
      if (!exists(this.url)) throw noFolder(this.url, error);
      const path = join(this.url, name);
      if (systemCode(error) === "ENOENT") {
        throw new SplError("not_found", `cannot ${operation} ${path}: it is not there`, { cause: error });
      }
      throw fileError(error, operation, path);
    }
  }
}

function noFolder(path: string, cause: unknown): SplError {
  return new SplError("not_found", `there is no folder ${path}`, {
    hint: `mount its disk, or make it: mkdir -p ${shellWord(path)}`,
    cause,
  });
}
