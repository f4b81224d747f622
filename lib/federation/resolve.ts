import { SplError } from "../base/errors.ts";
import { MAX_URL } from "../base/limits.ts";
import { didDocumentKey, didWebUrl, parseDidKey } from "../identity/did.ts";
import { compareStatements, type Statement } from "../identity/statement.ts";
import { knownStatement } from "../instance/steward.ts";
import type { Json } from "../record/types.ts";
import type { FederationContext } from "./context.ts";
import { askDirectory } from "./directory.ts";
import { exchangeJson } from "./exchange.ts";
import { learn } from "./learn.ts";

/** A DID document of `did:web`, bytes. */
const MAX_DOCUMENT = 64 * 1024;
/** The type of the service in a DID document that says where the instance is. */
const SERVICE = "SyncropelInstance";

export interface Resolved {
  did: string;
  /** Where its instance lives now; null when nothing tells. */
  url: string | null;
  /** 32 bytes; null when nothing proves one. */
  publicKey: Uint8Array | null;
  /** What says so; null for a DID document. */
  statement: Statement | null;
}

/**
 * Where a DID's instance lives and which key it has. `did:sync` and `did:key` certify their key, and their address is
 * in the highest statement that was pushed here or that the directory keeps; `did:web` is asked for its document.
 * @throws SplError peer_unreachable, peer_misbehaves, statement_refused, address_refused when whom it asks fails, and
 *   not_found for a DID that cannot be resolved at all
 */
export async function resolveDid(
  ctx: FederationContext,
  did: string,
  signal?: AbortSignal,
): Promise<Resolved> {
  const document = didWebUrl(did);
  if (document !== null) return resolveWeb(ctx, did, document, signal);
  const known = await ctx.instance.store.read((reader) => knownStatement(reader, did));
  const listed = await askDirectory(ctx, did, signal).catch((error) => {
    // What was pushed here is still good to try.
    if (known === null) throw error;
    return null;
  });
  if (listed !== null) await learn(ctx, listed);
  const statement = higher(known, listed);
  const publicKey = statement === null ? parseDidKey(did) : Uint8Array.fromHex(statement.public_key);
  return { did, url: statement?.url ?? null, publicKey, statement };
}

function higher(a: Statement | null, b: Statement | null): Statement | null {
  if (a === null || b === null) return a ?? b;
  return compareStatements(a, b) >= 0 ? a : b;
}

async function resolveWeb(
  ctx: FederationContext,
  did: string,
  url: string,
  signal: AbortSignal | undefined,
): Promise<Resolved> {
  const request = { method: "GET" as const, ...(signal && { signal }) };
  const document = await exchangeJson(ctx, url, request, MAX_DOCUMENT);
  if (document === null) throw new SplError("not_found", `${did} has no document at ${url}`);
  const publicKey = didDocumentKey(document, did);
  if (publicKey === null) {
    throw new SplError("peer_misbehaves", `the document at ${url} holds no Ed25519 key of ${did}`);
  }
  return { did, url: serviceUrl(document), publicKey, statement: null };
}

/** The first endpoint of the service that stands for an instance. */
function serviceUrl(document: Json): string | null {
  const { service } = document as { service?: Json };
  for (const each of Array.isArray(service) ? service : []) {
    if (typeof each !== "object" || each === null || Array.isArray(each)) continue;
    const { type, serviceEndpoint } = each;
    const url = typeof serviceEndpoint === "string" ? URL.parse(serviceEndpoint) : null;
    if (type !== SERVICE || url === null || !/^https?:$/.test(url.protocol) || url.href.length > MAX_URL)
      continue;
    return url.origin + url.pathname.replace(/\/+$/, "");
  }
  return null;
}
