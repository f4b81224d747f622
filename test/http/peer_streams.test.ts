import { expect, test } from "bun:test";
import { systemRandom } from "../../lib/base/random.ts";
import { signRequest } from "../../lib/federation/http_signature.ts";
import { testSigner } from "../kit/records.ts";
import { Served } from "../kit/served.ts";
import { statementOf } from "../kit/statements.ts";
import { until } from "../kit/until.ts";

const PATH = "/federation/v1/stream";
/** 2026-03-01T12:00:00Z, in milliseconds. */
const START = 1_772_366_400_000;

/** An instance on a real socket, whose clock a test sets, with these peers. */
async function serving(peers: ReturnType<typeof testSigner>[]) {
  const time = { now: START };
  const served = await Served.start({ ports: { clock: () => time.now } });
  const did = served.running.instance_did;
  for (const peer of peers) {
    const body = { topic: "pair", peer_did: peer.did, url: "http://127.0.0.1:9", state: "active" };
    await served.unix("/v1/records", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ thread: "th_federation_pairs", act: "LEARN", actor: did, body }),
    });
  }
  const open = (signer: ReturnType<typeof testSigner>, signal?: AbortSignal) => {
    const statement = statementOf({ url: null, epoch: START }, signer);
    const facts = { method: "GET", path: PATH, body: null, to: did };
    const ports = { clock: () => time.now, random: systemRandom };
    const headers = signRequest(facts, statement, signer.key, ports);
    return served.tcp(PATH, { headers, ...(signal && { signal }) });
  };
  return { served, time, open, [Symbol.asyncDispose]: () => served[Symbol.asyncDispose]() };
}

test("a peer that opens stream after stream is refused beyond a few; another peer is not", async () => {
  const [greedy, modest] = [testSigner(1), testSigner(2)];
  await using kit = await serving([greedy, modest]);
  const answers: Response[] = [];
  for (let n = 0; n < 50; n++) answers.push(await kit.open(greedy));
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, ...new Array(46).fill(429)]);
  const refused = answers[4]!;
  expect(refused.headers.get("content-type")).toBe("application/problem+json");
  expect(refused.headers.get("retry-after")).toBe("10");
  expect(await refused.json()).toMatchObject({ code: "rate_limited", retry_after: 10 });
  expect((await kit.open(modest)).status).toBe(200);
});

test("a peer that comes back takes the place of its oldest stream, which nobody has noticed to be gone", async () => {
  const peer = testSigner(1);
  await using kit = await serving([peer]);
  const streams: Response[] = [];
  const open = async () => {
    const answer = await kit.open(peer);
    if (answer.ok) streams.push(answer);
    return answer.status;
  };
  for (let n = 0; n < 4; n++) {
    expect(await open()).toBe(200);
    kit.time.now += 1000;
  }
  expect(await open()).toBe(429);
  kit.time.now += 6000;
  expect(await open()).toBe(200);
  const [oldest, ...others] = streams;
  // To its end; the others have none.
  expect(await oldest!.text()).toStartWith(":");
  for (const other of others) {
    const { done, value } = await other.body!.getReader().read();
    expect([done, new TextDecoder().decode(value)]).toEqual([false, ":\n\n"]);
  }
});

test("what is private moves nothing in a stream, and no cursor tells of it", async () => {
  const peer = testSigner(1);
  await using kit = await serving([peer]);
  const emit = async (thread: string, body: object) => {
    const answer = await kit.served.unix("/v1/records", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ thread, act: "DO", actor: "did:sync:user:alice", body }),
    });
    return ((await answer.json()) as { id: string }).id;
  };
  const reader = (await kit.open(peer)).body!.getReader();
  const next = async () => new TextDecoder().decode((await reader.read()).value);
  expect(await next()).toBe(":\n\n");
  const secret = await emit("th_private", { namespace: "private" });
  await emit("th_open", {});
  // Not a word before it.
  const event = await next();
  expect(event).toContain('"thread":"th_open"');
  const { cursor } = JSON.parse(event.trimEnd().split("\ndata: ").at(-1)!) as { cursor: string };
  const bytes = Buffer.from(cursor, "base64url");
  for (const form of [bytes.toString("latin1"), bytes.toString("hex")])
    expect(form).not.toContain(secret.slice(0, 8));
  expect(bytes).toHaveLength(12 + 16 + 16);
});

test("a stream that its peer has closed leaves its place", async () => {
  const peer = testSigner(1);
  await using kit = await serving([peer]);
  for (let n = 0; n < 12; n++) {
    const gone = new AbortController();
    const { status, body } = await kit.open(peer, gone.signal);
    expect(status).toBe(200);
    await body!.getReader().read();
    gone.abort();
    await until(
      async () => (await kit.served.unix("/metrics")).text(),
      (metrics) => metrics.includes("\nspl_open_streams 0\n"),
    );
  }
});
