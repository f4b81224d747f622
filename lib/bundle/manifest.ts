import { fromHex } from "../base/bytes.ts";
import { MAX_BUNDLE_RECORDS, MAX_DID_BYTES } from "../base/limits.ts";
import { certifies, parseInstanceDid } from "../identity/did.ts";
import { ed25519 } from "../identity/ed25519.ts";
import { readPublicKey } from "../identity/public_key.ts";
import { canonicalBytes } from "../record/canonical.ts";
import { parseCanonicalJson } from "../record/json.ts";
import type { JsonObject } from "../record/types.ts";
import { count, exactFields, hex32, oneOf, text } from "./fields.ts";
import { blaming, malformed, refusal } from "./malformed.ts";
import { MANIFEST } from "./members.ts";
import { BUNDLE_FORMAT, BUNDLE_VERSION, type Manifest } from "./types.ts";

const FIELDS = [
  "bundle_sha256",
  "bundle_version",
  "consent_grants",
  "federation_pairs",
  "format",
  "identity",
  "public_key",
  "record_count",
  "records_root",
  "source_did",
  "thread_count",
  "tokens",
];

/** The bytes of `manifest.json`, which `manifest.sig` signs. */
export function encodeManifest(manifest: Manifest): Uint8Array {
  return canonicalBytes({ ...manifest });
}

/**
 * Believes a manifest only as far as each step allows: version, then signature, then fields, then whether the key
 * is that of `source_did`.
 * @param signature 64 bytes, Ed25519 (RFC 8032) over `bytes`
 * @throws SplError bundle_malformed
 */
export function openManifest(
  bytes: Uint8Array,
  signature: Uint8Array,
): { manifest: Manifest; publicKey: Uint8Array } {
  return blaming(MANIFEST, () => {
    const object = parseCanonicalJson(bytes) as JsonObject;
    checkVersion(object);
    const publicKey = readPublicKey(fromHex(hex32(object, "public_key"), 32)!);
    if (!ed25519.verify(signature, bytes, publicKey)) throw refusal("signature verification failed");
    const manifest = readFields(exactFields(object, FIELDS));
    if (!certifies(manifest.source_did, publicKey)) {
      throw malformed(MANIFEST, `public_key is not the key of ${manifest.source_did}`);
    }
    return { manifest, publicKey };
  });
}

function checkVersion(object: JsonObject): void {
  if (object?.format !== BUNDLE_FORMAT) throw malformed(MANIFEST, `its format is not ${BUNDLE_FORMAT}`);
  const version = object.bundle_version;
  if (version === BUNDLE_VERSION) return;
  if (!Number.isSafeInteger(version)) throw malformed(MANIFEST, "bundle_version is not an integer");
  throw refusal(`bundle_version ${version} is not known to this release; upgrade spl`);
}

function readFields(object: JsonObject): Manifest {
  const manifest: Manifest = {
    format: BUNDLE_FORMAT,
    bundle_version: BUNDLE_VERSION,
    source_did: text(object, "source_did", 1, MAX_DID_BYTES),
    public_key: hex32(object, "public_key"),
    record_count: count(object, "record_count", MAX_BUNDLE_RECORDS),
    thread_count: count(object, "thread_count", MAX_BUNDLE_RECORDS),
    federation_pairs: count(object, "federation_pairs", MAX_BUNDLE_RECORDS),
    consent_grants: count(object, "consent_grants", MAX_BUNDLE_RECORDS),
    identity: oneOf(object, "identity", ["included", "none", "only"]),
    tokens: oneOf(object, "tokens", ["carried", "none"]),
    records_root: hex32(object, "records_root"),
    bundle_sha256: hex32(object, "bundle_sha256"),
  };
  if (parseInstanceDid(manifest.source_did) === null) {
    throw malformed(MANIFEST, `source_did ${manifest.source_did} is not the DID of an instance`);
  }
  if (manifest.identity === "none" && manifest.tokens === "carried") {
    throw malformed(MANIFEST, "tokens cannot be carried without the identity");
  }
  const counts = [manifest.record_count, manifest.federation_pairs, manifest.consent_grants];
  if (manifest.identity === "only" && counts.some((each) => each > 0)) {
    throw malformed(MANIFEST, "an identity alone holds no records");
  }
  return manifest;
}
