import {
  createSignatureSync,
  isSignatureError,
  type RequestDescriptor,
  verifySignature,
} from "http-message-sig";
import { STATEMENT_HEADER } from "../api/media.ts";
import { fromBase64Url, fromUtf8, toBase64Url, utf8 } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { SplError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import { sha256 } from "../base/sha256.ts";
import { ed25519 } from "../identity/ed25519.ts";
import type { KeyPair } from "../identity/key.ts";
import { MAX_STATEMENT_BYTES, readStatement, type Statement } from "../identity/statement.ts";
import { parseJson } from "../record/json.ts";

/**
 * Requests between instances, signed with the instance key (RFC 9421, Ed25519). What a request says of itself is
 * covered whole: method, path below the instance's base URL, query, body, whom it is for, and the caller's own
 * endpoint statement, which brings the key. A signature holds for a minute and once.
 */

export const TO = "syncropel-to";
export const STATEMENT = STATEMENT_HEADER;
/** In an answer: the highest statement of the caller's own identity, where it outranks what the caller sent. */
export const SEEN = "syncropel-seen";

const TAG = "syncropel";
const LABEL = "spl";
/** Seconds that a signature may be old, or ahead of this machine's clock. */
const WINDOW_S = 60;
/** Nonces that are remembered at most; beyond it requests are refused, never believed unchecked. */
const MAX_NONCES = 100_000;
const NONCE_BYTES = 16;
const ALWAYS = ["@method", "@path", "@query", TO, STATEMENT];
const DIGEST = "content-digest";

export interface SignedFacts {
  method: string;
  /** Below the callee's base URL, with query: `/federation/v1/records?after=…`. */
  path: string;
  body: Uint8Array | null;
  /** The callee's DID. */
  to: string;
}

/** Headers that sign a request. */
export function signRequest(
  facts: SignedFacts,
  statement: Statement,
  key: KeyPair,
  { clock, random }: { clock: Clock; random: Random },
): Headers {
  const headers = new Headers({ [TO]: facts.to, [STATEMENT]: encodeStatement(statement) });
  if (facts.body) headers.set(DIGEST, contentDigest(facts.body));
  const { signature, signatureInput } = createSignatureSync(descriptor(facts, headers), {
    label: LABEL,
    components: components(facts),
    parameters: {
      created: Math.floor(clock() / 1000),
      nonce: toBase64Url(random(NONCE_BYTES)),
      keyid: statement.did,
      alg: "ed25519",
      tag: TAG,
    },
    signer: { algorithm: "ed25519", sign: (data) => key.sign(data) },
  });
  headers.set("signature", signature);
  headers.set("signature-input", signatureInput);
  return headers;
}

/** Callers with their nonces, each with the second in which the signature was made. */
export type Nonces = [name: string, created: number][];

/** Checks signatures and remembers each until it would be too old anyway. */
export class RequestVerifier {
  readonly #seen: Map<string, number>;
  readonly #startedS: number;

  /** @param before what the process before this one remembered; null when that is lost, as after a crash */
  constructor(
    readonly clock: Clock,
    before: Nonces | null = null,
  ) {
    this.#seen = new Map(before);
    // What was signed until now may have been seen then.
    this.#startedS = before === null ? Math.floor(clock() / 1000) : Number.NEGATIVE_INFINITY;
  }

  /** What the next process must not let in again. */
  get remembered(): Nonces {
    const oldest = Math.floor(this.clock() / 1000) - WINDOW_S;
    return [...this.#seen].filter(([, created]) => created >= oldest);
  }

  /**
   * Who made the request.
   * @param self the DID that this instance answers for
   * @param counts whose signatures count once: those of strangers, who may be any number, are not remembered
   * @throws SplError signature_refused; statement_refused; wrong_instance when it is for somebody else
   */
  async verify(
    facts: Omit<SignedFacts, "to">,
    headers: Headers,
    self: string,
    counts: (did: string) => boolean | Promise<boolean> = () => true,
  ): Promise<Statement> {
    if (headers.get("signature-input") === null) throw refused("the request is not signed");
    const statement = decodeStatement(headers.get(STATEMENT), this.clock());
    const nowS = Math.floor(this.clock() / 1000);
    const to = headers.get(TO) ?? "";
    const publicKey = Uint8Array.fromHex(statement.public_key);
    const verified = await verifySignature(descriptor({ ...facts, to }, headers), {
      label: LABEL,
      policy: {
        algorithms: ["ed25519"],
        requiredComponents: components(facts),
        requiredParameters: ["created", "nonce", "keyid", "alg", "tag"],
        // The skew is granted on top of the age: together they must not outlive the memory of nonces.
        maxAge: 0,
        clockSkew: WINDOW_S,
        now: nowS,
      },
      resolveVerifier: () => ({
        algorithm: "ed25519",
        verify: (data, signature) => ed25519.verify(signature, data, publicKey),
      }),
    }).catch((cause) => {
      throw refused(isSignatureError(cause) ? cause.message : "its signature cannot be read", cause);
    });
    const { created = 0, nonce = "", keyid, tag } = verified.parameters;
    if (keyid !== statement.did || tag !== TAG) throw refused("its signature is for another purpose or DID");
    if (fromBase64Url(nonce, NONCE_BYTES) === null) throw refused(`its nonce is not ${NONCE_BYTES} bytes`);
    // A digest without a body as well: the body was taken away on the way.
    const digest = headers.get(DIGEST);
    if ((facts.body ?? digest) !== null && digest !== contentDigest(facts.body ?? new Uint8Array()))
      throw refused("its body was changed");
    if (created < this.#startedS) throw refused("it was signed before this instance started");
    if (await counts(statement.did)) this.#remember(`${keyid} ${nonce}`, created, nowS);
    if (to !== self) {
      throw new SplError("wrong_instance", `the request is for ${to.slice(0, 300)}, and this is ${self}`, {
        hint: "spl federation refresh DID finds where that instance lives now",
      });
    }
    return statement;
  }

  #remember(name: string, created: number, nowS: number): void {
    if (this.#seen.has(name)) throw refused("it was made before: a signature counts once");
    if (this.#seen.size >= MAX_NONCES) {
      for (const [old, at] of this.#seen) if (at < nowS - WINDOW_S) this.#seen.delete(old);
      if (this.#seen.size >= MAX_NONCES) throw refused("too many signed requests within a minute");
    }
    this.#seen.set(name, created);
  }
}

export function encodeStatement(statement: Statement): string {
  return toBase64Url(utf8(JSON.stringify(statement)));
}

/** @throws SplError statement_refused, signature_refused */
export function decodeStatement(text: string | null, now: number): Statement {
  const size = Math.floor(((text?.length ?? 0) * 3) / 4);
  const bytes = text === null || size > MAX_STATEMENT_BYTES ? null : fromBase64Url(text, size);
  const json = bytes && fromUtf8(bytes);
  if (json === null) throw refused("it brings no endpoint statement");
  return readStatement(parseJson(bytes!), now);
}

/** RFC 9530. */
function contentDigest(body: Uint8Array): string {
  return `sha-256=:${sha256.hash(body).toBase64()}:`;
}

function components({ body }: Pick<SignedFacts, "body">): string[] {
  return body ? [...ALWAYS, DIGEST] : ALWAYS;
}

function descriptor({ method, path }: SignedFacts, headers: Headers): RequestDescriptor {
  const covered = [TO, STATEMENT, DIGEST, "signature", "signature-input"];
  return {
    kind: "request",
    method,
    // Host and scheme are not covered: proxies change them, and `syncropel-to` says whom it is for.
    targetUri: `http://instance.invalid${path}`,
    fields: covered.flatMap((name) => {
      const value = headers.get(name);
      return value === null ? [] : [{ name, value }];
    }),
  };
}

function refused(why: string, cause?: unknown): SplError {
  return new SplError("signature_refused", `the signed request is refused: ${why}`, {
    hint: "check that both machines' clocks are right",
    cause,
  });
}
