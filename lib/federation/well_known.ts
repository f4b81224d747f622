import { fromBase64Url, fromHex, toBase64Url, toHex, utf8 } from "../base/bytes.ts";
import { isoTime } from "../base/clock.ts";
import { SplError } from "../base/errors.ts";
import { VERSION } from "../base/version.ts";
import { certifies } from "../identity/did.ts";
import { ed25519 } from "../identity/ed25519.ts";
import { readPublicKey } from "../identity/public_key.ts";
import { readStatement, type Statement } from "../identity/statement.ts";
import type { Signer } from "../instance/instance.ts";
import { canonicalText } from "../record/canonical.ts";
import type { Json, JsonObject } from "../record/types.ts";
import type { FederationContext } from "./context.ts";
import { exchangeJson } from "./exchange.ts";

/** `/.well-known/syncropel` (spec, section 9): who an instance is, where it lives and what it can, signed. */

export const WELL_KNOWN = "/.well-known/syncropel";
const PREFIX = "syncropel-well-known-v1:";
/** How long it may be kept. */
const LIFE_MS = 60 * 60 * 1000;
/** How far ahead of one's own clock it may have been issued. */
const MAX_AHEAD_MS = 5 * 60 * 1000;
const MAX_BYTES = 16 * 1024;
/** Of the protocol between peers: `lib/federation/PROTOCOL.md`. */
const PROTOCOL = 1;

export interface WellKnown {
  did: string;
  /** 64 hex. */
  public_key: string;
  /** The highest of this identity that the instance knows: where it lives now, be it here or not. */
  statement: Statement;
  versions: { spl: string; federation: number[] };
  capabilities: string[];
  /** ISO 8601, as `expires_at`. */
  issued_at: string;
  expires_at: string;
  /** base64url, over `syncropel-well-known-v1:` and the canonical JSON of the other fields. */
  sig: string;
}

/** @param capabilities beside those that every instance has */
export function describeInstance(
  { did, key }: Pick<Signer, "did" | "key">,
  statement: Statement,
  capabilities: string[],
  now: number,
): WellKnown {
  const fields = {
    did,
    public_key: toHex(key.publicKey),
    statement,
    versions: { spl: VERSION, federation: [PROTOCOL] },
    capabilities: ["pair", "records", "reconcile", "stream", ...capabilities],
    issued_at: isoTime(now),
    expires_at: isoTime(now + LIFE_MS),
  };
  return { ...fields, sig: toBase64Url(key.sign(message(fields))) };
}

/** What to do where a URL is no instance's. */
export const CHECK_URL = "check the URL, its port and http or https: the peer's spl status shows it";

/**
 * Who answers at a base URL, proven by its signature.
 * @throws SplError peer_unreachable, also where no instance answers; peer_misbehaves saying what is wrong with its
 *   description; statement_refused, address_refused
 */
export async function discover(ctx: FederationContext, url: string): Promise<WellKnown> {
  const nobody = (message: string, cause?: unknown) =>
    new SplError("peer_unreachable", message, { hint: CHECK_URL, cause });
  const request = { method: "GET" } as const;
  const answer = await exchangeJson(ctx, `${url}${WELL_KNOWN}`, request, MAX_BYTES).catch((error) => {
    const odd = error instanceof SplError && error.code === "peer_misbehaves";
    throw odd ? nobody(error.message, error) : error;
  });
  const now = ctx.instance.ports.clock();
  const refuse = (why: string) =>
    new SplError("peer_misbehaves", `${url}${WELL_KNOWN} ${why}`, {
      hint: "spl doctor, there and here, tells more",
    });
  if (answer === null) throw nobody(`there is no instance at ${url}`);
  const told = shaped(answer);
  if (told === null) throw nobody(`${url}${WELL_KNOWN} has not the form of an instance's description`);
  const { sig, ...fields } = told;
  const key = believable(told.public_key);
  if (key === null || !certifies(told.did, key)) throw refuse(`has a key that is not the key of ${told.did}`);
  if (!ed25519.verify(fromBase64Url(sig, 64)!, message(fields), key)) throw refuse("has a wrong signature");
  if (Date.parse(told.expires_at) <= now) throw refuse("has expired: one of the two clocks is wrong");
  if (Date.parse(told.issued_at) > now + MAX_AHEAD_MS)
    throw refuse("is of the future: one of the two clocks is wrong");
  if (!told.versions.federation.includes(PROTOCOL))
    throw refuse("speaks no version of the protocol that is known here");
  if (readStatement({ ...told.statement } as JsonObject, now).did !== told.did) {
    throw refuse("brings the statement of another instance");
  }
  return told;
}

function message(fields: Omit<WellKnown, "sig">): Uint8Array {
  return utf8(PREFIX + canonicalText(fields as unknown as JsonObject));
}

function believable(hex: string): Uint8Array | null {
  try {
    return readPublicKey(fromHex(hex, 32)!);
  } catch {
    return null;
  }
}

/** Members that a later release adds are covered by the signature and otherwise without meaning here. */
function shaped(value: Json): WellKnown | null {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  const { did, public_key, statement, versions, capabilities, issued_at, expires_at, sig } = value;
  const fits =
    typeof did === "string" &&
    typeof public_key === "string" &&
    fromHex(public_key, 32) !== null &&
    typeof statement === "object" &&
    typeof versions === "object" &&
    versions !== null &&
    !Array.isArray(versions) &&
    Array.isArray(versions.federation) &&
    Array.isArray(capabilities) &&
    [issued_at, expires_at].every((time) => typeof time === "string" && !Number.isNaN(Date.parse(time))) &&
    typeof sig === "string" &&
    fromBase64Url(sig, 64) !== null;
  return fits ? (value as unknown as WellKnown) : null;
}
