import { S3Client, type S3File } from "bun";
import { SplError, systemCode } from "../base/errors.ts";
import { compareAscii } from "../base/text.ts";
import type { BackupTarget, StoredFile } from "./types.ts";

type Env = Record<string, string | undefined>;

/** A part of an upload, and so what it takes of memory. S3 takes 10,000 parts: 156 GiB. */
const PART_BYTES = 16 * 1024 * 1024;
const PIECE_BYTES = 1024 * 1024;

const DENIED = new Set([
  "AccessDenied",
  "InvalidAccessKeyId",
  "SignatureDoesNotMatch",
  "InvalidToken",
  "ExpiredToken",
  "ERR_S3_MISSING_CREDENTIALS",
]);

/** A bucket of S3 or of a server that speaks as it does. Keys are the prefix, a slash, and the name. */
export class S3Target implements BackupTarget {
  readonly url: string;
  readonly #client: S3Client;
  readonly #prefix: string;

  /**
   * Address and credentials come from the environment, under the names that other tools use.
   * @param url `s3://bucket` or `s3://bucket/prefix`
   * @throws SplError usage (no such URL, no credentials), cleartext_refused (plain http off loopback)
   */
  constructor(url: string, env: Env) {
    const [, bucket, path] = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/(.*))?$/.exec(url) ?? [];
    if (bucket === undefined || /[\p{Cc}?#]/u.test(url)) {
      throw new SplError("usage", `${JSON.stringify(url)} names no bucket`, {
        hint: "write it like s3://bucket/prefix",
      });
    }
    const accessKeyId = env.AWS_ACCESS_KEY_ID;
    const secretAccessKey = env.AWS_SECRET_ACCESS_KEY;
    if (!accessKeyId || !secretAccessKey) {
      throw new SplError("usage", "there are no credentials for S3", {
        hint: "put them in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
      });
    }
    const prefix = (path ?? "").replace(/\/+$/, "");
    this.url = `s3://${bucket}${prefix && `/${prefix}`}`;
    this.#prefix = prefix && `${prefix}/`;
    const region = env.AWS_REGION || env.AWS_DEFAULT_REGION || "us-east-1";
    this.#client = new S3Client({
      bucket,
      accessKeyId,
      secretAccessKey,
      region,
      endpoint: endpointOf(env) ?? `https://s3.${region}.amazonaws.com`,
      ...(env.AWS_SESSION_TOKEN && { sessionToken: env.AWS_SESSION_TOKEN }),
    });
  }

  async list(): Promise<StoredFile[]> {
    const files: StoredFile[] = [];
    for (let continuationToken: string | undefined; ; ) {
      const page = await this.#doing("list", "", () =>
        this.#client.list({
          ...(this.#prefix && { prefix: this.#prefix }),
          ...(continuationToken !== undefined && { continuationToken }),
        }),
      );
      for (const { key, size } of page.contents ?? []) {
        const name = key.slice(this.#prefix.length);
        if (!name.includes("/")) files.push({ name, bytes: size ?? 0 });
      }
      if (!page.isTruncated || !page.nextContinuationToken) break;
      continuationToken = page.nextContinuationToken;
    }
    return files.sort((a, b) => compareAscii(a.name, b.name));
  }

  /**
   * In parts, of which the server makes a file only when told that all are there. Whatever fails before leaves the writer
   * without its `end()`, for Bun completes the upload even on `end(error)`; the server's rule for incomplete uploads
   * then removes the parts.
   */
  async write(name: string, chunks: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    const writer = this.#file(name).writer({ partSize: PART_BYTES, queueSize: 1, retry: 2 });
    for await (const chunk of chunks) {
      for (let at = 0; at < chunk.length; at += PIECE_BYTES) {
        signal.throwIfAborted();
        await this.#doing("write", name, async () => {
          writer.write(chunk.slice(at, at + PIECE_BYTES));
          await writer.flush();
        });
      }
    }
    signal.throwIfAborted();
    await this.#doing("write", name, async () => writer.end());
  }

  async *read(name: string): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of this.#file(name).stream() as unknown as AsyncIterable<Uint8Array>)
        yield chunk;
    } catch (error) {
      throw this.#told(error, "read", name);
    }
  }

  async remove(name: string): Promise<void> {
    await this.#doing("remove", name, () => this.#file(name).delete());
  }

  async clearTemporaries(): Promise<void> {}

  #file(name: string): S3File {
    return this.#client.file(this.#prefix + name);
  }

  async #doing<T>(operation: string, name: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw this.#told(error, operation, name);
    }
  }

  #told(error: unknown, operation: string, name: string): SplError {
    if (error instanceof SplError) return error;
    const code = systemCode(error) ?? "";
    const what = `cannot ${operation} ${this.url}${name && `/${name}`}`;
    if (DENIED.has(code)) {
      return new SplError("forbidden", `${what}: ${code}`, {
        hint: "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and what they may do",
        cause: error,
      });
    }
    if (code === "NoSuchBucket") {
      return new SplError("not_found", `${what}: ${code}`, {
        hint: "make the bucket, or check its name, AWS_REGION and AWS_ENDPOINT_URL_S3",
        cause: error,
      });
    }
    if (code === "NoSuchKey") return new SplError("not_found", `${what}: ${code}`, { cause: error });
    const reason = error instanceof Error && code === "" ? error.message : code || "it failed";
    return new SplError("unreachable", `${what}: ${reason}`, {
      hint: "check AWS_ENDPOINT_URL_S3 and whether that server runs",
      cause: error,
    });
  }
}

/** @throws SplError usage, cleartext_refused */
function endpointOf(env: Env): string | null {
  const name = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "S3_ENDPOINT"].find((key) => env[key]);
  if (name === undefined) return null;
  const url = URL.parse(env[name]!);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== "" || url.password !== "") {
    throw new SplError("usage", `${name} is no http or https URL without a name and password`);
  }
  if (url.protocol === "http:" && !/^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(url.hostname)) {
    throw new SplError("cleartext_refused", `${name} is plain http: a backup would be readable on the way`, {
      hint: "use https, or a tunnel to a loopback address",
    });
  }
  return url.href.replace(/\/+$/, "");
}
