import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { Statement } from "../../lib/identity/statement.ts";
import { Served } from "../kit/served.ts";

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
