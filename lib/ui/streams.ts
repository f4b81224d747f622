import { write } from "node:fs";
import { fileError, systemCode } from "../base/errors.ts";

/** Where a command writes. Text is UTF-8; bytes must stay unchanged until they are flushed. */
export interface Writer {
  /**
   * Takes the chunk at once and starts writing; resolves when little enough waits, so that an awaited loop
   * runs in constant memory. Nothing is lost without awaiting: the frame flushes before the process ends.
   * @throws ClosedPipe, SplError disk_full or file_unreadable, of this write or an earlier one
   */
  write(chunk: string | Uint8Array): Promise<void>;
  /** As `write`, and resolves when it is out: what is said on another stream then comes behind it. */
  line(text: string): Promise<void>;
  /** Resolves when everything has reached the operating system. */
  flush(): Promise<void>;
}

/** The reader went away (`| head`). The frame ends quietly with status 0; whoever must deliver all catches it. */
export class ClosedPipe extends Error {}

const HIGH_WATER = 256 * 1024;
const FULL_PIPE_PAUSE_MS = 2;

/**
 * The one writer of a file descriptor. It writes by `fs.write`, because that reports a full disk and a closed
 * pipe (`Bun.stdout.writer()` reports neither) and never blocks the event loop.
 */
export class FdWriter implements Writer {
  readonly #fd: number;
  readonly #name: string;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #drain: Promise<void> | null = null;
  #failure: unknown = null;

  /** @param name what errors call it, such as `standard output` */
  constructor(fd: number, name: string) {
    this.#fd = fd;
    this.#name = name;
  }

  async write(chunk: string | Uint8Array): Promise<void> {
    if (this.#failure) throw this.#failure;
    const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
    if (bytes.length === 0) return;
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    this.#drain ??= this.#run();
    if (this.#waitingBytes > HIGH_WATER) await this.flush();
  }

  async line(text: string): Promise<void> {
    await this.write(`${text}\n`);
    // It keeps what went wrong for the next write, and never rejects.
    await this.#drain;
  }

  async flush(): Promise<void> {
    await this.#drain;
    if (this.#failure) throw this.#failure;
  }

  /** Writes what waits, and what comes to wait meanwhile, in as few calls as possible. */
  async #run(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        const [only] = this.#waiting;
        const batch = this.#waiting.length === 1 ? only! : Buffer.concat(this.#waiting);
        this.#waiting = [];
        this.#waitingBytes = 0;
        for (let at = 0; at < batch.length; ) at += await writeSome(this.#fd, batch.subarray(at));
      }
    } catch (error) {
      const code = systemCode(error);
      this.#failure =
        code === "EPIPE" || code === "ECONNRESET"
          ? new ClosedPipe()
          : fileError(error, "write to", this.#name);
    } finally {
      this.#drain = null;
    }
  }
}

/** Bytes written; 0 when the descriptor is non-blocking and full, after a short pause. */
function writeSome(fd: number, bytes: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    write(fd, bytes, 0, bytes.length, null, (error, written) => {
      if (!error) resolve(written);
      else if (error.code === "EAGAIN") setTimeout(resolve, FULL_PIPE_PAUSE_MS, 0);
      else reject(error);
    });
  });
}
