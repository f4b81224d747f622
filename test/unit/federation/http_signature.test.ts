import { beforeEach, describe, expect, test } from "bun:test";
import { createHash, createPrivateKey, sign, verify } from "node:crypto";
import { toHex } from "../../../lib/base/bytes.ts";
import type { SplError } from "../../../lib/base/errors.ts";
import {
  encodeStatement,
  RequestVerifier,
  type SignedFacts,
  STATEMENT,
  signRequest,
  TO,
} from "../../../lib/federation/http_signature.ts";
import { publicKeyPem } from "../../../lib/identity/key.ts";
import { signStatement } from "../../../lib/identity/statement.ts";
import { type TestSigner, testSigner } from "../../kit/records.ts";

const caller = testSigner(1);
const callee = testSigner(2);
const mallory = testSigner(3);
/** 2026-03-01T12:00:00Z. */
const START_S = 1_772_366_400;

let nowS: number;
let verifier: RequestVerifier;
const clock = () => nowS * 1000;
let counter = 0;
const random = (n: number) => new Uint8Array(n).fill(++counter % 256);

beforeEach(() => {
  nowS = START_S;
  verifier = new RequestVerifier(clock);
});

function statementOf({ did, key }: TestSigner) {
  return signStatement(
    {
      did,
      public_key: toHex(key.publicKey),
      url: null,
      steward_id: "0".repeat(32),
      epoch: START_S * 1000,
      issued_at: "2026-03-01T12:00:00.000Z",
      revoked: false,
    },
    key,
  );
}

const GET: SignedFacts = {
  method: "GET",
  path: "/federation/v1/records?after=a%2Fb&thread=th_a",
  body: null,
  to: callee.did,
};
const POST: SignedFacts = {
  ...GET,
  method: "POST",
  path: "/federation/v1/reconcile",
  body: Buffer.from("body"),
};

const signed = (facts: SignedFacts, by = caller) =>
  signRequest(facts, statementOf(by), by.key, { clock, random });
const check = (facts: SignedFacts, headers: Headers) => verifier.verify(facts, headers, callee.did);

async function refusal(facts: SignedFacts, headers: Headers, code = "signature_refused"): Promise<string> {
  const error = (await check(facts, headers).then(
    () => new Error("it was accepted"),
    (thrown) => thrown,
  )) as SplError;
  expect({ code: error.code, message: error.message }).toMatchObject({ code });
  return error.message;
}

/** The signature base (RFC 9421, section 2.5), put together by hand. */
function baseOf({ method, path, body }: SignedFacts, headers: Headers): string {
  const [, params] = /^spl=(.*)$/.exec(headers.get("signature-input")!)!;
  const at = path.indexOf("?");
  const values: [string, string][] = [
    ["@method", method],
    ["@path", at < 0 ? path : path.slice(0, at)],
    ["@query", at < 0 ? "?" : path.slice(at)],
    [TO, headers.get(TO)!],
    [STATEMENT, headers.get(STATEMENT)!],
  ];
  if (body) values.push(["content-digest", headers.get("content-digest")!]);
  return [...values.map(([name, value]) => `"${name}": ${value}`), `"@signature-params": ${params}`].join(
    "\n",
  );
}

/** What another implementation would send, made with node:crypto and nothing of ours but the statement. */
function handSigned(
  facts: SignedFacts,
  by: TestSigner,
  {
    created = nowS,
    nonce = Buffer.from(random(16)).toString("base64url"),
    keyid = by.did,
    alg = "ed25519",
    tag = "syncropel",
    leaveOut = "",
  } = {},
): Headers {
  const headers = new Headers({ [TO]: facts.to, [STATEMENT]: encodeStatement(statementOf(by)) });
  const names = ["@method", "@path", "@query", TO, STATEMENT];
  if (facts.body) {
    const digest = createHash("sha256").update(facts.body).digest("base64");
    headers.set("content-digest", `sha-256=:${digest}:`);
    names.push("content-digest");
  }
  const parameters = [
    `created=${created}`,
    `nonce="${nonce}"`,
    `keyid="${keyid}"`,
    `alg="${alg}"`,
    `tag="${tag}"`,
  ].filter((each) => leaveOut === "" || !each.startsWith(`${leaveOut}=`));
  const covered = names.filter((name) => name !== leaveOut);
  const list = covered.map((name) => `"${name}"`).join(" ");
  headers.set("signature-input", `spl=(${list});${parameters.join(";")}`);
  const base = baseOf(facts, headers)
    .split("\n")
    .filter((line) => leaveOut === "" || !line.startsWith(`"${leaveOut}"`))
    .join("\n");
  const signature = sign(null, Buffer.from(base), privateKeyOf(by)).toString("base64");
  headers.set("signature", `spl=:${signature}:`);
  return headers;
}

function privateKeyOf({ key }: TestSigner) {
  const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), key.seed]);
  return createPrivateKey({ key: der, format: "der", type: "pkcs8" });
}

describe("a signed request", () => {
  test.each([
    ["with a query", GET],
    ["with a body", POST],
    ["with an empty body", { ...POST, body: new Uint8Array() }],
  ])("%s is taken, and says who made it", async (_, facts) => {
    expect(await check(facts, signed(facts))).toEqual(statementOf(caller));
  });

  test("is as RFC 9421 says, by a second implementation", () => {
    for (const facts of [GET, POST]) {
      const headers = signed(facts);
      const [, signature] = /^spl=:(.*):$/.exec(headers.get("signature")!)!;
      const key = publicKeyPem(caller.key.publicKey);
      const base = Buffer.from(baseOf(facts, headers));
      expect(verify(null, base, key, Buffer.from(signature!, "base64"))).toBe(true);
    }
  });

  test("of a second implementation is taken", async () => {
    for (const facts of [GET, POST]) {
      expect((await check(facts, handSigned(facts, caller))).did).toBe(caller.did);
    }
  });
});

describe("whatever it covers cannot be changed", () => {
  test.each([
    ["method", { ...GET, method: "DELETE" }],
    ["path", { ...GET, path: "/federation/v1/stream?after=a%2Fb&thread=th_a" }],
    ["query", { ...GET, path: "/federation/v1/records?after=a%2Fb&thread=th_b" }],
    ["spelling of the query", { ...GET, path: "/federation/v1/records?after=a/b&thread=th_a" }],
  ])("%s", async (_, facts) => {
    expect(await refusal(facts, signed(GET))).toContain("Signature verification failed");
  });

  test("body", async () => {
    expect(await refusal({ ...POST, body: Buffer.from("Body") }, signed(POST))).toContain(
      "its body was changed",
    );
  });

  test("body together with its digest", async () => {
    const headers = signed(POST);
    headers.set("content-digest", signed({ ...POST, body: Buffer.from("Body") }).get("content-digest")!);
    expect(await refusal({ ...POST, body: Buffer.from("Body") }, headers)).toContain(
      "Signature verification failed",
    );
  });

  test("a body that was taken away", async () => {
    expect(await refusal({ ...POST, body: null }, signed(POST))).toContain("its body was changed");
  });

  test("a body where there was none", async () => {
    const headers = signed({ ...POST, body: null });
    headers.set("content-digest", signed(POST).get("content-digest")!);
    expect(await refusal(POST, headers)).toContain("content-digest");
  });

  test("whom it is for", async () => {
    const headers = signed({ ...GET, to: mallory.did });
    headers.set(TO, callee.did);
    expect(await refusal(GET, headers)).toContain("Signature verification failed");
  });

  test("who made it", async () => {
    const headers = signed(GET);
    headers.set(STATEMENT, encodeStatement(statementOf(mallory)));
    expect(await refusal(GET, headers)).toContain("Signature verification failed");
  });

  test.each(["created", "nonce", "keyid", "alg", "tag"])("the parameter %s", async (name) => {
    const headers = signed(GET);
    const changed = headers
      .get("signature-input")!
      .replace(
        new RegExp(`${name}=("?)(.)`),
        (_, quote, first) => `${name}=${quote}${first === "1" ? 2 : 1}`,
      );
    expect(changed).not.toBe(headers.get("signature-input")!);
    headers.set("signature-input", changed);
    await refusal(GET, headers);
  });
});

describe("what is left out is missed", () => {
  test.each(["@method", "@path", "@query", TO, STATEMENT])("%s", async (name) => {
    expect(await refusal(GET, handSigned(GET, caller, { leaveOut: name }))).toContain(`Required component`);
  });

  test("content-digest", async () => {
    expect(await refusal(POST, handSigned(POST, caller, { leaveOut: "content-digest" }))).toContain(
      "Required component",
    );
  });

  test.each(["created", "nonce", "keyid", "alg", "tag"])("%s", async (name) => {
    expect(await refusal(GET, handSigned(GET, caller, { leaveOut: name }))).toContain(
      `Required parameter ${name}`,
    );
  });

  test.each(["signature-input", "signature", STATEMENT, TO])("the header %s", async (name) => {
    const headers = signed(GET);
    headers.delete(name);
    await refusal(GET, headers);
  });
});

describe("a signature of something else", () => {
  test.each([
    ["the keyid of another", { keyid: mallory.did }, "another purpose or DID"],
    ["another tag", { tag: "elsewhere" }, "another purpose or DID"],
    ["another algorithm", { alg: "hmac-sha256" }, "not allowed"],
    ["a short nonce", { nonce: "AAAA" }, "its nonce is not 16 bytes"],
    ["a long nonce", { nonce: "A".repeat(4000) }, "its nonce is not 16 bytes"],
  ])("%s", async (_, options, message) => {
    expect(await refusal(GET, handSigned(GET, caller, options))).toContain(message);
  });

  test("under another label", async () => {
    const headers = signed(GET);
    for (const name of ["signature", "signature-input"])
      headers.set(name, headers.get(name)!.replace("spl=", "sig1="));
    await refusal(GET, headers);
  });

  test("twice the same header", async () => {
    for (const name of [TO, STATEMENT, "signature", "signature-input"]) {
      const headers = signed(GET);
      headers.append(name, headers.get(name)!);
      await refusal(GET, headers);
    }
  });

  test("a statement that is too long, or none", async () => {
    for (const text of ["A".repeat(8000), "e30", "*"]) {
      const headers = signed(GET);
      headers.set(STATEMENT, text);
      const error = (await check(GET, headers).catch((thrown) => thrown)) as SplError;
      expect(["signature_refused", "statement_refused"]).toContain(error.code);
    }
  });

  test("a request for another instance names both", async () => {
    const facts = { ...GET, to: mallory.did };
    expect(await refusal(facts, signed(facts), "wrong_instance")).toBe(
      `the request is for ${mallory.did}, and this is ${callee.did}`,
    );
  });
});

describe("a signature counts once, and for a minute", () => {
  test("not a second time", async () => {
    const headers = signed(GET);
    await check(GET, headers);
    expect(await refusal(GET, headers)).toContain("a signature counts once");
    nowS += 60;
    expect(await refusal(GET, headers)).toContain("a signature counts once");
  });

  test("strangers take no place in its memory, however many they are", async () => {
    const headers = handSigned(GET, caller, {});
    const strange = () => verifier.verify(GET, headers, callee.did, () => false);
    await strange();
    await strange();
    await check(GET, headers);
    expect(await refusal(GET, headers)).toContain("a signature counts once");
  });

  test("the same nonce of two callers is no repetition", async () => {
    const nonce = "AAAAAAAAAAAAAAAAAAAAAA";
    await check(GET, handSigned(GET, caller, { nonce }));
    await check(GET, handSigned(GET, mallory, { nonce }));
  });

  test("60 seconds old is the oldest", async () => {
    const [a, b] = [signed(GET), signed(GET)];
    nowS += 60;
    await check(GET, a);
    nowS += 1;
    expect(await refusal(GET, b)).toContain("too old");
  });

  test("60 seconds ahead is the furthest", async () => {
    await check(GET, handSigned(GET, caller, { created: nowS + 60 }));
    expect(await refusal(GET, handSigned(GET, caller, { created: nowS + 61 }))).toContain("in the future");
  });

  test("what was signed before the process started is refused", async () => {
    const headers = handSigned(GET, caller, { created: nowS - 1 });
    expect(await refusal(GET, headers)).toContain("before this instance started");
  });

  test("not a second time after a stop and a start, also in the same second or of a clock that runs ahead", async () => {
    const seen = [signed(GET), handSigned(GET, caller, { created: nowS + 40 })];
    for (const headers of seen) await check(GET, headers);
    const unseen = signed(GET);
    nowS += 1;
    verifier = new RequestVerifier(clock, JSON.parse(JSON.stringify(verifier.remembered)));
    for (const headers of seen) expect(await refusal(GET, headers)).toContain("a signature counts once");
    await check(GET, unseen);
  });

  test("what is too old to be let in is not kept for the next process", async () => {
    await check(GET, signed(GET));
    expect(verifier.remembered).toHaveLength(1);
    nowS += 61;
    expect(verifier.remembered).toEqual([]);
  });
});
