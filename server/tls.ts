import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFileSync, type Stats, statSync } from "node:fs";
import { fileError, SplError } from "../lib/base/errors.ts";
import { shellWord } from "../lib/base/text.ts";

/** A certificate with its chain and its private key, both PEM (RFC 7468). */
export interface Tls {
  cert: string;
  key: string;
}

/** Far above any chain. */
const MAX_BYTES = 1024 * 1024;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * Reads both files and makes sure that they will serve: an instance that starts with a wrong certificate would be
 * noticed by its clients only. One that is not valid yet is let in, since it is rather this machine's clock that is wrong.
 * @throws SplError file_unreadable, key_permissions, usage (not PEM, encrypted, expired, not a pair)
 */
export function readTls(certPath: string, keyPath: string): Tls {
  const cert = readPem(certPath);
  const [own] = readChain(cert, certPath);
  if (own.validToDate.getTime() < Date.now()) {
    throw new SplError(
      "usage",
      `the certificate ${certPath} expired on ${own.validToDate.toISOString().slice(0, 10)}`,
      { hint: "renew it, then start again" },
    );
  }
  const key = readPem(keyPath, checkMode);
  if (!own.checkPrivateKey(readKey(key, keyPath))) {
    throw new SplError("usage", `the key ${keyPath} is not that of the certificate ${certPath}`, {
      hint: "name the key that the certificate was made with; a server's own certificate comes first in its file",
    });
  }
  return { cert, key };
}

function readChain(text: string, path: string): [X509Certificate, ...X509Certificate[]] {
  try {
    const [own, ...rest] = (text.match(CERTIFICATE) ?? []).map((pem) => new X509Certificate(pem));
    if (own) return [own, ...rest];
  } catch {
    // Said below, as for a file without any.
  }
  throw new SplError("usage", `${path} is no certificate in PEM form`, {
    hint: "name a file that begins with -----BEGIN CERTIFICATE-----",
  });
}

function readKey(text: string, path: string): KeyObject {
  if (text.includes("ENCRYPTED")) {
    throw new SplError("usage", `the key ${path} is encrypted`, {
      hint: "decrypt it with openssl pkey, and keep the file to yourself",
    });
  }
  try {
    return createPrivateKey(text);
  } catch {
    throw new SplError("usage", `${path} is no private key in PEM form`, {
      hint: "name a file that begins with -----BEGIN PRIVATE KEY-----",
    });
  }
}

/** A key that root keeps may be open to a group, as distributions do it for their servers. */
function checkMode({ mode, uid }: Stats, path: string): void {
  const closed = uid === process.getuid?.() ? 0o077 : 0o027;
  if ((mode & closed) === 0) return;
  throw new SplError("key_permissions", `the private key ${path} is open to other users`, {
    hint: `chmod 600 ${shellWord(path)}`,
  });
}

function readPem(path: string, check?: (stats: Stats, path: string) => void): string {
  try {
    const stats = statSync(path);
    if (!stats.isFile() || stats.size > MAX_BYTES) {
      throw new SplError("usage", `${path} is no certificate or key`, { hint: "name a PEM file" });
    }
    check?.(stats, path);
    return readFileSync(path, "utf8");
  } catch (error) {
    throw fileError(error, "read", path);
  }
}
