import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { toHex } from "../../lib/base/bytes.ts";
import { makeRound } from "../../lib/federation/steward.ts";
import type { Statement } from "../../lib/identity/statement.ts";
import { TestApp } from "../kit/app.ts";
import { testSigner } from "../kit/records.ts";
import { Served } from "../kit/served.ts";
import { statementOf } from "../kit/statements.ts";

const config = (port: number | undefined) => `
directory = "http://127.0.0.1:${port}"
[federation]
allow_networks = ["127.0.0.0/8"]
watch_s = 1
`;

test("a directory that never answers holds up a start for some seconds only", async () => {
  const { promise, resolve } = Promise.withResolvers<Response>();
  using directory = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => promise });
  const started = performance.now();
  await using served = await Served.start({}, config(directory.port));
  expect((await served.unix("/health")).status).toBe(200);
  expect(performance.now() - started).toBeWithin(2900, 10_000);
  resolve(new Response("{}"));
});

test("a directory that is down is told of once, and published to when it is back", async () => {
  const gone = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
  const { port } = gone;
  await gone.stop(true);
  await using served = await Served.start({}, config(port));
  const asked: string[] = [];
  const published = Promise.withResolvers<Statement>();
  using _ = Bun.serve({
    port: port!,
    hostname: "127.0.0.1",
    async fetch(request) {
      asked.push(`${request.method} ${decodeURIComponent(new URL(request.url).pathname)}`);
      if (request.method === "GET") return Response.json({}, { status: 404 });
      const statement = (await request.json()) as Statement;
      published.resolve(statement);
      return Response.json(statement);
    },
  });
  const { did, url } = await published.promise;
  expect([did, url]).toEqual([served.running.instance_did, served.running.url]);
  expect(asked.slice(0, 2)).toEqual([`GET /directory/${did}`, `PUT /directory/${did}`]);
  const log = readFileSync(served.paths.log, "utf8");
  expect(log.match(/ directory problem=/g)).toHaveLength(1);
  expect(log).toContain(`cannot reach http://127.0.0.1:${port}: connection refused`);
});

/** An instance whose pairs are at these answers, in turn. */
async function pairedWith(
  stack: AsyncDisposableStack,
  answers: ((statement: Statement) => Response)[],
): Promise<TestApp> {
  const policy = { networks: [], loopback: true };
  const federation = { isolated: false, policy, url: () => "https://own.example" };
  const app = stack.use(await TestApp.open({ federation }));
  const { did: actor } = await app.json<{ did: string }>("/v1/identity");
  for (const [i, answer] of answers.entries()) {
    const peer = stack.use(
      Bun.serve({
        port: 0,
        hostname: "127.0.0.1",
        fetch: async (request) => answer((await request.json()) as Statement),
      }),
    );
    const body = {
      topic: "pair",
      peer_did: testSigner(20 + i).did,
      url: `http://127.0.0.1:${peer.port}`,
      state: "active",
    };
    await app.call("/v1/records", { json: { thread: "th_federation_pairs", act: "LEARN", actor, body } });
  }
  return app;
}

test("peers that are gone or answer nonsense are counted out, and nothing they say is believed", async () => {
  await using stack = new AsyncDisposableStack();
  const stranger = statementOf({ epoch: Date.now() + 1000 }, testSigner(5));
  const app = await pairedWith(stack, [
    (statement) => Response.json(statement),
    (statement) => Response.json({ ...statement, epoch: statement.epoch + 1, steward_id: "f".repeat(32) }),
    () => Response.json(stranger),
    () => new Response("<html>"),
    () => new Response("<html>", { status: 404 }),
    () => new Response(null, { status: 302, headers: { location: "http://127.0.0.1:1" } }),
    () => new Response("x".repeat(5000)),
    () => new Response(null, { status: 204 }),
    () => Response.json({}, { status: 500 }),
  ]);
  const round = await makeRound(app.ctx.federation);
  expect(round).toMatchObject({ told: 1, pairs: 9, published: null, problem: null });
  expect(round.statement).toMatchObject({ url: "https://own.example", revoked: false });
  expect(await app.json("/v1/status")).toMatchObject({ state: "active" });
  const { store } = app.ctx.instance;
  expect(await store.read((reader) => reader.endpoint(stranger.did))).toBeNull();
});

test("a home that has just adopted an identity rises above what its peers know of it", async () => {
  await using stack = new AsyncDisposableStack();
  let key: ReturnType<typeof testSigner>["key"] | null = null;
  let highest: Statement | null = null;
  const app = await pairedWith(stack, [
    (statement) => {
      const { sig: _, ...fields } = statement;
      const old = { ...fields, epoch: fields.epoch + 60_000, steward_id: toHex(new Uint8Array(16)) };
      if (highest === null || statement.epoch > highest.epoch) {
        highest = highest === null ? statementOf(old, { did: old.did, key: key! }) : statement;
      }
      return Response.json(highest);
    },
  ]);
  const { instance } = app.ctx;
  ({ key } = await instance.store.read((reader) => instance.signer(reader)));
  const { epoch } = await app.json<{ epoch: number }>("/v1/status");
  await app.ctx.steward.adopted();
  expect(await app.json("/v1/status")).toMatchObject({ state: "active", epoch: epoch + 60_001 });
  expect(highest!).toMatchObject({ epoch: epoch + 60_001, url: "https://own.example" });
});
