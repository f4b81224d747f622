import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runCommand } from "./spl.ts";

export interface Certificate {
  cert: string;
  key: string;
}

const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

/** A certificate authority of one's own, made with openssl, as a homelab has it. */
export class Authority {
  private constructor(
    readonly folder: string,
    readonly cert: string,
    readonly key: string,
  ) {}

  static async make(folder: string): Promise<Authority> {
    const [cert, key] = [join(folder, "ca.pem"), join(folder, "ca.key")];
    const subject = ["-subj", "/CN=Authority of a test", "-days", "30"];
    await openssl("req", "-x509", ...NEW_KEY, "-keyout", key, "-out", cert, ...subject);
    return new Authority(folder, cert, key);
  }

  /** @param days how long it is valid; below zero it has expired */
  async issue(name: string, { san = "DNS:localhost,IP:127.0.0.1", days = 10 } = {}): Promise<Certificate> {
    const file = (suffix: string) => join(this.folder, `${name}.${suffix}`);
    const [cert, key, request, extensions] = ["pem", "key", "csr", "ext"].map(file) as [
      string,
      string,
      string,
      string,
    ];
    writeFileSync(extensions, `subjectAltName=${san}\n`);
    await openssl("req", ...NEW_KEY, "-keyout", key, "-out", request, "-subj", `/CN=${name}`);
    const signing = ["-CA", this.cert, "-CAkey", this.key, "-CAcreateserial", "-extfile", extensions];
    await openssl("x509", "-req", "-in", request, ...signing, "-days", String(days), "-out", cert);
    chmodSync(key, 0o600);
    return { cert, key };
  }
}

/** @throws Error with what openssl said when it fails */
export async function openssl(...args: string[]): Promise<string> {
  const done = await runCommand(["openssl", ...args], { env: { PATH: Bun.env.PATH!, LC_ALL: "C" } });
  if (done.status !== 0) throw new Error(`openssl ${args.join(" ")}: ${done.stderr}`);
  return done.stdout;
}
