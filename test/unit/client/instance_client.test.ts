import { expect, test } from "bun:test";
import { STATEMENT_HEADER, VERSION_HEADER } from "../../../lib/api/media.ts";
import { InstanceClient } from "../../../lib/client/instance_client.ts";
import type { Target } from "../../../lib/client/target.ts";
import { encodeStatement } from "../../../lib/federation/http_signature.ts";
import { statementOf } from "../../kit/statements.ts";
import { ScratchFolder } from "../../kit/store.ts";

/** How the client takes what is no instance, or an instance in trouble. Good answers are in `test/http` and `test/cli`. */

type Handler = (request: Request) => Response | Promise<Response>;

/** A client of a server that answers as told, and says that it is an instance. */
function against(answer: Handler, token: string | null = null) {
  const fetch = async (request: Request) => {
    const response = await answer(request);
    response.headers.set(VERSION_HEADER, "0.33.0");
    return response;
  };
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch });
  const url = `http://127.0.0.1:${server.port}`;
  const target: Target = { url, socket: null, token, from: "--url" };
  return { client: new InstanceClient(target), url, [Symbol.asyncDispose]: () => server.stop(true) };
}

const problem = { "content-type": "application/problem+json" };
const ndjson = { "content-type": "application/x-ndjson" };
const IMPORT = { dry_run: false, force_overwrite: false, keep_identity: false, deep: false };

async function* once(text: string): AsyncGenerator<Uint8Array> {
  yield new TextEncoder().encode(text);
}

test("no daemon: what to type", async () => {
  using folder = new ScratchFolder();
  const target: Target = {
    url: "http://localhost",
    socket: folder.file("none.sock"),
    token: null,
    from: "local daemon",
  };
  await expect(new InstanceClient(target).status()).rejects.toMatchObject({
    code: "unreachable",
    message: expect.stringContaining("no instance is running here"),
    hint: "start it with spl serve --daemon",
  });
});

test("an instance of an earlier release, or behind a proxy that drops the header, is known by its health", async () => {
  const instance = { instance_did: statementOf({}).did, version: "0.1.0" };
  for (const [health, known] of [
    [instance, true],
    [{ ...instance, instance_did: "me" }, false],
    [{ status: "ok" }, false],
    [[], false],
  ] as const) {
    let asked = 0;
    const server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch(request) {
        if (new URL(request.url).pathname !== "/health") return Response.json([]);
        asked++;
        return Response.json(health);
      },
    });
    const url = `http://127.0.0.1:${server.port}`;
    const client = new InstanceClient({ url, socket: null, token: null, from: "--url" });
    const pairs = () => client.pairs();
    for (let n = 0; n < 2; n++) {
      if (known) expect(await pairs()).toEqual([]);
      else await expect(pairs()).rejects.toMatchObject({ code: "unreachable" });
    }
    expect(asked).toBe(1);
    await server.stop(true);
  }
});

test("nothing listens there: said with the address", async () => {
  await using gone = against(() => new Response());
  await gone[Symbol.asyncDispose]();
  await expect(gone.client.status()).rejects.toMatchObject({
    code: "unreachable",
    message: `cannot reach ${gone.url}: connection refused`,
  });
});

const moved = (statement: string | null) => () => {
  const body = { code: "moved", detail: "it went to http://evil.example", hint: "go there", status: 410 };
  const header: Record<string, string> = statement === null ? {} : { [STATEMENT_HEADER]: statement };
  return new Response(JSON.stringify(body), { status: 410, headers: { ...problem, ...header } });
};

test("an instance that has left its hoster: where it lives now is believed to its own signature only", async () => {
  const statement = statementOf({ url: "https://new.example" });
  await using left = against(moved(encodeStatement(statement)));
  await expect(left.client.status()).rejects.toMatchObject({
    code: "moved",
    message: `the instance at ${left.url} has left: ${statement.did} lives at https://new.example, as it says itself`,
    hint: "export SPL_SERVE_URL=https://new.example, then spl token save",
  });
  await using forged = against(moved(encodeStatement({ ...statement, url: "https://evil.example" })));
  await expect(forged.client.status()).rejects.toMatchObject({
    code: "moved",
    message: `${forged.url} says that its instance has left, and where to, but cannot prove it`,
    hint: "ask its owner for the new address",
  });
});

test("a problem document becomes the error that it tells of", async () => {
  const body = { code: "store_not_empty", detail: "import refused: x", hint: "h", records: 12, status: 409 };
  await using server = against(() => new Response(JSON.stringify(body), { status: 409, headers: problem }));
  await expect(server.client.status()).rejects.toMatchObject({
    code: "store_not_empty",
    message: "import refused: x",
    hint: "h",
    detail: { records: 12 },
  });
});

test("what is no instance of spl is said to be none", async () => {
  const answers: Handler[] = [
    () => new Response("<html>502</html>", { status: 502, headers: { "content-type": "text/html" } }),
    () => new Response("not json", { status: 500, headers: problem }),
    () => new Response(null, { status: 404 }),
  ];
  for (const answer of answers) {
    await using server = against(answer);
    await expect(server.client.status()).rejects.toMatchObject({ code: "unreachable" });
  }
});

test("a redirect is not followed, so no token goes astray", async () => {
  const seen: (string | null)[] = [];
  await using thief = against((request) => {
    seen.push(request.headers.get("authorization"));
    return Response.json({});
  });
  await using server = against(() => Response.redirect(`${thief.url}/v1/status`, 307), "spl_token");
  await expect(server.client.status()).rejects.toMatchObject({
    code: "unreachable",
    message: expect.stringContaining("redirect"),
  });
  expect(seen).toEqual([]);
});

test("the token is a bearer token", async () => {
  await using server = against(
    (request) => Response.json({ authorization: request.headers.get("authorization") }),
    "spl_token",
  );
  expect(await server.client.status()).toEqual({ authorization: "Bearer spl_token" } as never);
});

test("names are encoded into the path", async () => {
  await using server = against((request) => Response.json({ path: new URL(request.url).pathname }));
  expect(await server.client.thread("../x?y#z")).toEqual({ path: "/v1/threads/..%2Fx%3Fy%23z" } as never);
});

test("an answer that breaks off is an error, never a short result", async () => {
  await using server = against(() => {
    let sent = false;
    const body = new ReadableStream({
      async pull(controller) {
        if (!sent) controller.enqueue(new TextEncoder().encode('{"id":"a"}\n'));
        sent = true;
        await new Promise(setImmediate);
        controller.error();
      },
    });
    return new Response(body, {
      headers: { ...ndjson, "spl-manifest": Buffer.from("{}").toString("base64url") },
    });
  });
  const { client } = server;
  const query = { compression: "zst", identity: "none", carry_tokens: false } as const;
  const reads: (() => Promise<unknown>)[] = [
    async () => Array.fromAsync(await client.threadRecords("th_a")),
    async () => Array.fromAsync((await client.exportBundle(query)).chunks),
    () => Array.fromAsync(client.follow({ after: 0 }, new AbortController().signal)),
  ];
  for (const read of reads) await expect(read()).rejects.toMatchObject({ code: "unreachable" });
});

test("an import whose end is not told has not succeeded", async () => {
  await using server = against(async (request) => {
    await request.bytes();
    return new Response('{"event":"verified","signature":"valid","source_did":"did:x:y","manifest":{}}\n', {
      headers: ndjson,
    });
  });
  const verified: unknown[] = [];
  const importing = server.client.importBundle(once("bundle"), IMPORT, (event) => void verified.push(event));
  await expect(importing).rejects.toMatchObject({
    code: "unreachable",
    hint: expect.stringContaining("importing again is safe"),
  });
  expect(verified).toEqual([{ signature: "valid", source_did: "did:x:y", manifest: {} }]);
});

test("a problem in the middle of an import is the import's error", async () => {
  await using server = against(async (request) => {
    await request.bytes();
    const event = { event: "problem", problem: { code: "disk_full", detail: "no space" } };
    return new Response(`${JSON.stringify(event)}\n`, { headers: ndjson });
  });
  await expect(server.client.importBundle(once("x"), IMPORT, () => undefined)).rejects.toMatchObject({
    code: "disk_full",
    message: "no space",
  });
});

test("a refusal in the middle of an upload is heard", async () => {
  await using server = against(async (request) => {
    await request.body!.getReader().read();
    return new Response(JSON.stringify({ code: "bundle_malformed", detail: "bundle malformed: x" }), {
      status: 422,
      headers: problem,
    });
  });
  const endless = (async function* () {
    for (;;) yield new Uint8Array(64 * 1024);
  })();
  await expect(server.client.importBundle(endless, IMPORT, () => undefined)).rejects.toMatchObject({
    code: "bundle_malformed",
  });
});

test("what breaks while a file is read is the cause, not the connection", async () => {
  await using server = against(async (request) => {
    await request.bytes();
    return Response.json({});
  });
  const broken = (async function* () {
    yield new Uint8Array(10);
    throw new Error("the disk is on fire");
  })();
  await expect(server.client.importBundle(broken, IMPORT, () => undefined)).rejects.toThrow(
    "the disk is on fire",
  );
});
