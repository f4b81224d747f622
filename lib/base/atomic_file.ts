import {
  closeSync,
  constants,
  fsyncSync,
  lstatSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { toHex } from "./bytes.ts";
import { fileError, SplError, systemCode } from "./errors.ts";
import { systemRandom } from "./random.ts";

/** What a file system answers that syncs no folders, as many of network shares: there is nothing more to do. */
const CANNOT_SYNC = ["EINVAL", "ENOTSUP", "EOPNOTSUPP"];

/** Makes a rename or a new name in `directory` durable, where its file system can. */
export function syncDirectory(directory: string): void {
  const fd = openSync(directory, constants.O_RDONLY);
  try {
    fsyncSync(fd);
  } catch (error) {
    if (!CANNOT_SYNC.includes(systemCode(error) ?? "")) throw error;
  } finally {
    closeSync(fd);
  }
}

/**
 * Whether a file is at `path`, which a new one would replace.
 * @throws SplError file_unreadable where no file can be: in a folder that is not there, in the place of a folder, or of
 *   a device or pipe (also behind a link, such as `/dev/stdout`), which a rename would destroy
 */
export function holdsFile(path: string): boolean {
  let there: Stats | undefined;
  try {
    if (!statSync(dirname(path)).isDirectory()) throw fileError({ code: "ENOTDIR" }, "write", path);
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return false;
    there = statSync(path, { throwIfNoEntry: false });
    if (there?.isDirectory())
      throw fileError({ code: "EISDIR" }, "write", path).retold({ hint: "name a file" });
  } catch (error) {
    throw fileError(error, "write", path);
  }
  if (there === undefined || there.isFile()) return true;
  throw new SplError("file_unreadable", `cannot write ${path}: it is a device or pipe, no file`, {
    hint: "name a file",
  });
}

const TEMPORARY = /^\..*\.[0-9a-f]{12}\.tmp$/;

/**
 * Removes what a process that was killed had not finished to write in `directory`.
 * @param prefix only of files whose final names start so, where others write in the same folder
 */
export function clearTemporaries(directory: string, prefix = ""): void {
  for (const name of readdirSync(directory)) {
    if (name.startsWith(`.${prefix}`) && TEMPORARY.test(name)) rmSync(join(directory, name), { force: true });
  }
}

/**
 * A file that appears under its name whole or not at all: written beside it under a temporary name with
 * mode 0600, synced, renamed. A symbolic link at the final name is replaced, never followed.
 * @throws SplError disk_full, file_unreadable
 */
export class AtomicFile {
  readonly path: string;
  readonly #temporary: string;
  readonly #fd: number;
  #open = true;
  bytes = 0;

  constructor(path: string, mode = 0o600) {
    holdsFile(path);
    this.path = path;
    this.#temporary = join(dirname(path), `.${basename(path).slice(0, 200)}.${toHex(systemRandom(6))}.tmp`);
    try {
      this.#fd = openSync(this.#temporary, "wx", mode);
    } catch (error) {
      throw fileError(error, "write", path);
    }
  }

  write(chunk: Uint8Array): void {
    try {
      let written = 0;
      while (written < chunk.length) written += writeSync(this.#fd, chunk, written);
      this.bytes += chunk.length;
    } catch (error) {
      throw fileError(error, "write", this.path);
    }
  }

  /** Syncs, closes and renames; afterwards the file survives a power cut. */
  commit(): void {
    try {
      fsyncSync(this.#fd);
      this.#close();
      renameSync(this.#temporary, this.path);
      syncDirectory(dirname(this.path));
    } catch (error) {
      this.abort();
      throw fileError(error, "write", this.path);
    }
  }

  /** Removes what was written. Safe to call at any time before `commit`. */
  abort(): void {
    this.#close();
    rmSync(this.#temporary, { force: true });
  }

  #close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.#fd);
  }
}

/** Writes a small file atomically and durably. */
export function writeFileAtomic(path: string, bytes: Uint8Array, mode = 0o600): void {
  const file = new AtomicFile(path, mode);
  try {
    file.write(bytes);
  } catch (error) {
    file.abort();
    throw error;
  }
  file.commit();
}
