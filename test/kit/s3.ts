import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const SERVER = `
const S3rver = require("s3rver");
const server = new S3rver({
  address: "127.0.0.1", port: 0, silent: true, directory: process.argv[1], configureBuckets: [{ name: "backups" }],
});
server.run().then(({ port }) => console.log(port));
`;

/** An S3 server (s3rver, under Node) with an empty bucket `backups`. Ends, and its files go, with its scope. */
export class S3Server implements AsyncDisposable {
  readonly url: string;
  readonly env: Record<string, string>;
  readonly #process: Bun.Subprocess;
  readonly #folder: string;

  private constructor(process: Bun.Subprocess, folder: string, port: number) {
    this.#process = process;
    this.#folder = folder;
    this.url = `http://127.0.0.1:${port}`;
    this.env = {
      AWS_ACCESS_KEY_ID: "S3RVER",
      AWS_SECRET_ACCESS_KEY: "S3RVER",
      AWS_ENDPOINT_URL_S3: this.url,
    };
  }

  static async start(): Promise<S3Server> {
    const folder = mkdtempSync(join(tmpdir(), "spl-s3-"));
    const child = Bun.spawn(["node", "-e", SERVER, folder], {
      cwd: join(import.meta.dir, "..", ".."),
      stdin: "ignore",
      stdout: "pipe",
      stderr: "ignore",
    });
    for await (const line of child.stdout) {
      return new S3Server(child, folder, Number(new TextDecoder().decode(line)));
    }
    throw new Error("s3rver did not start");
  }

  /** The files of the bucket, whole ones only, by their keys. */
  keys(): string[] {
    return [...new Bun.Glob("**/*._S3rver_object").scanSync(join(this.#folder, "backups"))]
      .map((path) => path.replace(/\._S3rver_object$/, ""))
      .sort();
  }

  /** Where the server keeps the content of a key. */
  path(key: string): string {
    return join(this.#folder, "backups", `${key}._S3rver_object`);
  }

  /** At once, as a machine that loses its power. */
  async die(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.die();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
