import { base58 } from "@scure/base";
import { concatBytes, equalBytes, toHex } from "../base/bytes.ts";
import { SplError } from "../base/errors.ts";
import { sha256 } from "../base/sha256.ts";
import { isDid } from "../record/shape.ts";
import type { Json, JsonObject } from "../record/types.ts";
import { readPublicKey } from "./public_key.ts";

const INSTANCE = "did:sync:instance:";
const INSTANCE_TAIL = /^([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)-([0-9a-f]{40})$/;
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** The first 40 hex of SHA-256 of a raw public key. */
export function fingerprintOf(publicKey: Uint8Array): string {
  return toHex(sha256.hash(publicKey)).slice(0, 40);
}

/**
 * The name part of an instance's DID: 1 to 63 of `a-z 0-9 -`, a hyphen at neither end.
 * @throws SplError usage
 */
export function checkInstanceName(name: string): void {
  if (NAME.test(name)) return;
  throw new SplError("usage", `${JSON.stringify(name)} cannot name an instance`, {
    hint: "use 1 to 63 of a-z 0-9 and hyphens, with no hyphen at either end",
  });
}

/**
 * `did:sync:instance:<name>-<fingerprint>`, which certifies its own key (spec, section 3).
 * @throws SplError usage for a name that `checkInstanceName` refuses, key_damaged for a key that no verifier accepts
 */
export function instanceDid(name: string, publicKey: Uint8Array): string {
  checkInstanceName(name);
  return `${INSTANCE}${name}-${fingerprintOf(readPublicKey(publicKey))}`;
}

/** What stands behind the last colon: names files and folders of one identity. */
export function didTail(did: string): string {
  return did.split(":").at(-1)!;
}

/** The parts of an instance's DID, or null when it is none. */
export function parseInstanceDid(did: string): { name: string; fingerprint: string } | null {
  const match = did.startsWith(INSTANCE) ? INSTANCE_TAIL.exec(did.slice(INSTANCE.length)) : null;
  return match === null ? null : { name: match[1]!, fingerprint: match[2]! };
}

/**
 * Whether the DID itself proves that this is its key: `did:sync:instance` by fingerprint, `did:key` by the key it
 * spells. Any other method, `did:web` among them, has to be resolved.
 */
export function certifies(did: string, publicKey: Uint8Array): boolean {
  const instance = parseInstanceDid(did);
  if (instance !== null) return instance.fingerprint === fingerprintOf(publicKey);
  const key = parseDidKey(did);
  return key !== null && equalBytes(key, publicKey);
}

/** The multicodec varint of ed25519-pub. */
const ED25519_PUB = Uint8Array.of(0xed, 0x01);

/** `z6Mk…`: a public key in multicodec and multibase. */
export function encodeMultibase(publicKey: Uint8Array): string {
  return `z${base58.encode(concatBytes(ED25519_PUB, publicKey))}`;
}

/** The Ed25519 key of its one `z6Mk…` spelling; null for another spelling, another curve, a refused key. */
export function parseMultibase(text: string): Uint8Array | null {
  if (!text.startsWith("z6Mk")) return null;
  try {
    const publicKey = readPublicKey(base58.decode(text.slice(1)).subarray(ED25519_PUB.length));
    return encodeMultibase(publicKey) === text ? publicKey : null;
  } catch {
    return null;
  }
}

/** `did:key` (W3C CCG) of an Ed25519 public key. */
export function didKey(publicKey: Uint8Array): string {
  return `did:key:${encodeMultibase(publicKey)}`;
}

/** The key that a `did:key` spells, or null when it is none that may sign here. */
export function parseDidKey(did: string): Uint8Array | null {
  return did.startsWith("did:key:") ? parseMultibase(did.slice("did:key:".length)) : null;
}

const WEB_HOST =
  /^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?::[1-9][0-9]{0,4})?$/;
/** Path characters of RFC 3986 without an escape; `.` and `..` would name another folder. */
const WEB_SEGMENT = /^(?!\.{1,2}$)[A-Za-z0-9._~!$&'()*+,;=@-]+$/;

/**
 * Where a `did:web` keeps its document (did:web method, section 3.2), or null. Hosts are refused that an address
 * would be made of, or that a URL would spell otherwise: IP addresses, capitals, user info, the default port.
 */
export function didWebUrl(did: string): string | null {
  if (!did.startsWith("did:web:") || !isDid(did)) return null;
  const parts = did.slice("did:web:".length).split(":");
  let host: string;
  let path: string[];
  try {
    [host, ...path] = parts.map(decodeURIComponent) as [string, ...string[]];
  } catch {
    return null;
  }
  if (!WEB_HOST.test(host) || !path.every((segment) => WEB_SEGMENT.test(segment))) return null;
  if (!URL.canParse(`https://${host}`) || new URL(`https://${host}`).host !== host) return null;
  if (/^[0-9.]+(?::|$)/.test(host)) return null;
  const folder = path.length === 0 ? ".well-known" : path.join("/");
  return `https://${host}/${folder}/did.json`;
}

/**
 * The DID document (W3C DID Core 1.0): the key in its two common shapes, and nothing that differs between the hosts
 * on which an instance may live. The same bytes for the same DID, always, once they are made canonical.
 */
export function didDocument(did: string, publicKey: Uint8Array): JsonObject {
  const publicKeyMultibase = encodeMultibase(publicKey);
  const methods = ["Multikey", "Ed25519VerificationKey2020"].map((type) => ({
    id: `${did}#${type}`,
    type,
    controller: did,
    publicKeyMultibase,
  }));
  const ids = methods.map(({ id }) => id);
  return {
    "@context": [
      "https://www.w3.org/ns/did/v1",
      "https://w3id.org/security/multikey/v1",
      "https://w3id.org/security/suites/ed25519-2020/v1",
    ],
    id: did,
    verificationMethod: methods,
    assertionMethod: ids,
    authentication: ids,
  };
}

/**
 * The key in a document that was fetched for `did`: the first verification method of its own that holds an
 * Ed25519 key in multibase. Null when there is none, or when the document is another DID's.
 */
export function didDocumentKey(document: Json, did: string): Uint8Array | null {
  const { id, verificationMethod } = asObject(document);
  if (id !== did || !Array.isArray(verificationMethod)) return null;
  for (const method of verificationMethod) {
    const { controller, publicKeyMultibase } = asObject(method);
    if (controller !== did || typeof publicKeyMultibase !== "string") continue;
    const key = parseMultibase(publicKeyMultibase);
    if (key !== null) return key;
  }
  return null;
}

function asObject(value: Json): Partial<JsonObject> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
}
