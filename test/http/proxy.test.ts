import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { type DaemonInfo, readDaemonInfo } from "../../lib/api/daemon.ts";
import { homePaths } from "../../lib/base/home.ts";
import { Box } from "../kit/box.ts";
import { Front } from "../kit/front.ts";
import { pairBoxes, syncBox, whoIs } from "../kit/paired.ts";
import { RawServer, rawRequest } from "../kit/raw_http.ts";
import { Served } from "../kit/served.ts";
import { until } from "../kit/until.ts";

setDefaultTimeout(60_000);

/** What passes a hosting service's proxy between clients and machines, on real sockets. */

let closing = new AsyncDisposableStack();
afterEach(async () => {
  await closing.disposeAsync();
  closing = new AsyncDisposableStack();
});

const OK = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";

/** A proxy in front of a server that answers by hand. */
async function before(...answer: string[]) {
  return inFront(await RawServer.saying(...answer));
}

function inFront(machine: RawServer, headers?: Record<string, string>) {
  closing.use(machine);
  const front = closing.use(new Front({ origin: machine.origin, ...(headers && { headers }) }));
  return { machine, front };
}

function get(front: Front, target: string, ...headers: string[]) {
  return rawRequest(
    front.port,
    [`GET ${target} HTTP/1.1`, "Host: whoever", ...headers, "Connection: close", "", ""].join("\r\n"),
  );
}

/** Headers of a message by their lowercase names. */
function headersOf(text: string): Record<string, string> {
  const lines = text.slice(0, text.indexOf("\r\n\r\n")).split("\r\n").slice(1);
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 2)]),
  );
}

describe("headers", () => {
  test("of one hop end there, both ways, with those that Connection names", async () => {
    const { machine, front } = await before(
      "HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n",
      "Proxy-Authenticate: Basic\r\nX-End: 1\r\nContent-Length: 2\r\n\r\nok",
    );
    const { text } = await rawRequest(
      front.port,
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Mine, X-Forwarded-For\r\nX-Mine: 1\r\nTE: trailers\r\n" +
        "Proxy-Authorization: Basic eA==\r\nUpgrade: h2c\r\nKeep-Alive: 1\r\nExpect: 100-continue\r\nX-Far: 1\r\n\r\n",
    );
    const sent = headersOf(machine.heads[0]!);
    expect(sent).toMatchObject({ "x-far": "1", "x-forwarded-for": "127.0.0.1" });
    for (const name of ["x-mine", "te", "proxy-authorization", "upgrade", "keep-alive", "expect"])
      expect(sent).not.toHaveProperty(name);
    const answered = headersOf(text.slice(text.indexOf("HTTP/1.1 200")));
    expect(answered).toMatchObject({ "x-end": "1", "content-length": "2" });
    for (const name of ["x-hop", "keep-alive", "proxy-authenticate"])
      expect(answered).not.toHaveProperty(name);
  });

  test("that tell where a request comes from are this proxy's own words, and Host is the instance's", async () => {
    const { machine, front } = inFront(await RawServer.saying(OK), { "fly-force-instance-id": "m1" });
    front.publicUrl = "https://alice.spl.example";
    const forged = ["For", "Proto", "Host", "Port", "Prefix"].map((name) => `X-Forwarded-${name}: 6.6.6.6`);
    await get(
      front,
      "/",
      ...forged,
      "Forwarded: for=6.6.6.6",
      "X-Real-IP: 6.6.6.6",
      "Fly-Force-Instance-Id: m2",
    );
    expect(machine.heads[0]).not.toContain("6.6.6.6");
    expect(headersOf(machine.heads[0]!)).toMatchObject({
      host: "alice.spl.example",
      "x-forwarded-for": "127.0.0.1",
      "x-forwarded-host": "alice.spl.example",
      "x-forwarded-proto": "https",
      "fly-force-instance-id": "m1",
    });
  });

  test("with cookies pass, one by one, unless instances share the host name", async () => {
    const { machine, front } = await before(
      "HTTP/1.1 200 OK\r\nConnection: close\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\nok",
    );
    const through = await get(front, "/", "Cookie: c=3");
    expect(through.text.match(/set-cookie: .*/gi)).toEqual(["set-cookie: a=1", "set-cookie: b=2"]);
    expect(headersOf(machine.heads[0]!)).toMatchObject({ cookie: "c=3" });
    front.stripCookies = true;
    const stripped = await get(front, "/", "Cookie: c=3");
    expect(stripped.text.toLowerCase()).not.toContain("cookie");
    expect(machine.heads[1]!.toLowerCase()).not.toContain("cookie");
  });

  test("of a client cannot give wrong tokens another source", async () => {
    const instance = closing.use(await Served.start({ publicUrl: "https://alice.spl.example" }));
    const front = closing.use(new Front({ origin: `http://127.0.0.1:${instance.running.port}` }));
    front.publicUrl = "https://alice.spl.example";
    expect((await fetch(`${front.url}/health`)).status).toBe(200);
    const statuses: number[] = [];
    for (let i = 0; i < 100 && statuses.at(-1) !== 429; i++) {
      const headers = { authorization: "Bearer spl_wrong_wrong", "x-forwarded-for": `192.0.2.${i}` };
      statuses.push((await fetch(`${front.url}/v1/status`, { headers })).status);
    }
    expect(statuses[0]).toBe(401);
    expect(statuses.at(-1)).toBe(429);
  });
});

describe("paths", () => {
  test("and queries arrive as they were understood before, and leave no prefix", async () => {
    const { machine, front } = await before(OK);
    front.under("/i/alice");
    const targets = [
      ["/i/alice/v1/threads?after=a%2Fb&x='%c3%28", "/v1/threads?after=a%2Fb&x=%27%c3%28"],
      ["/i/alice/a%2F..%2fb/%5c/%zz;c", "/a%2F..%2fb/%5c/%zz;c"],
      ["/i/alice/a//b/", "/a//b/"],
      ["/i/alice/x/%2e%2e/y/.%2E/z\\..\\w", "/w"],
    ] as const;
    for (const [asked] of targets) await get(front, asked);
    expect(machine.heads.map((head) => head.split(" ")[1])).toEqual(targets.map(([, seen]) => seen));
  });

  test("that would be read in another way behind the proxy are nowhere", async () => {
    const { machine, front } = await before(OK);
    front.under("/i/alice");
    for (const path of ["//evil.example/x", "@evil.example/", ".evil.example/", ":1/", ""]) {
      const { text } = await get(front, `/i/alice${path}`);
      expect(text).toStartWith("HTTP/1.1 404");
      expect(text).toContain("application/problem+json");
    }
    expect(machine.heads).toEqual([]);
  });
});

describe("answers", () => {
  test("keep encoding, range, status and redirects as the instance made them", async () => {
    const zipped = gzipSync("hello hello hello").toString("latin1");
    const answers: Record<string, string> = {
      "/zip": `200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${zipped.length}\r\n\r\n${zipped}`,
      "/part": "206 Partial Content\r\nContent-Range: bytes 0-1/5\r\nContent-Length: 2\r\n\r\nhe",
      "/moved": "302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
      "/nothing": "204 No Content\r\n\r\n",
      "/same": '304 Not Modified\r\nETag: "a"\r\n\r\n',
    };
    const machine = await RawServer.start((socket, head) =>
      socket.end(`HTTP/1.1 ${answers[head.split(" ")[1]!]}`, "latin1"),
    );
    const { front } = inFront(machine);
    const zip = await get(front, "/zip", "Accept-Encoding: gzip");
    expect(headersOf(zip.text)).toMatchObject({ "content-encoding": "gzip" });
    expect(zip.text).toContain(zipped);
    const part = await get(front, "/part", "Range: bytes=0-1");
    expect(part.text).toStartWith("HTTP/1.1 206");
    expect(headersOf(part.text)).toMatchObject({ "content-range": "bytes 0-1/5" });
    expect(headersOf(machine.heads[1]!)).toMatchObject({ range: "bytes=0-1" });
    expect(headersOf((await get(front, "/moved")).text)).toMatchObject({ location: "/elsewhere" });
    expect((await get(front, "/nothing")).text).toStartWith("HTTP/1.1 204");
    expect((await get(front, "/same")).text).toStartWith("HTTP/1.1 304");
    expect(machine.heads.map((head) => head.split(" ")[1])).toEqual(Object.keys(answers));
    expect(front.open).toBe(0);
  });

  test("to HEAD have the length of what GET would bring, and no body", async () => {
    const { front } = await before("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 55\r\n\r\n");
    const { text } = await rawRequest(front.port, "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    expect(headersOf(text)).toMatchObject({ "content-length": "55" });
    expect(text).toEndWith("\r\n\r\n");
    expect(front.open).toBe(0);
  });

  test("that break off do not end in order", async () => {
    const cuts = ["Content-Length: 10\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"];
    for (const cut of cuts) {
      const { front } = await before(`HTTP/1.1 200 OK\r\n${cut}`);
      const { text, end } = await get(front, "/");
      expect({ end, whole: text.endsWith("0\r\n\r\n") }).toEqual({ end: "reset", whole: false });
      const told = await fetch(front.url)
        .then((answer) => answer.text())
        .catch(() => "failed");
      expect(told).toBe("failed");
      expect(front.open).toBe(0);
    }
  });

  test("that are none make a problem that says so", async () => {
    for (const nonsense of ["", "HTTP/1.1 200 OK\r\nContent-Le", "SSH-2.0-x\r\n"]) {
      const { front } = await before(nonsense);
      const { text } = await get(front, "/");
      expect(text).toStartWith("HTTP/1.1 503");
      expect(text).toContain('"code":"hosting_unavailable"');
    }
    const machine = await RawServer.saying(OK);
    const front = closing.use(new Front({ origin: machine.origin }));
    await machine[Symbol.asyncDispose]();
    expect((await get(front, "/")).text).toStartWith("HTTP/1.1 503");
  });
});

describe("bodies", () => {
  test("keep a length that is known, and are sent on as they come where it is not", async () => {
    const { machine, front } = await before(OK);
    const head = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
    await rawRequest(front.port, `${head}Content-Length: 5\r\n\r\nhello`);
    await rawRequest(front.port, `${head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`);
    const [known, chunked] = machine.heads.map(headersOf);
    expect(known).toMatchObject({ "content-length": "5" });
    expect(known).not.toHaveProperty("transfer-encoding");
    expect(chunked).toMatchObject({ "transfer-encoding": "chunked" });
    expect(chunked).not.toHaveProperty("content-length");
  });

  test("are refused while they are sent, and the refusal is heard", async () => {
    const { front } = await before(
      "HTTP/1.1 413 Payload Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig",
    );
    const head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\nhello";
    const { text } = await rawRequest(front.port, head, (seen) => seen.endsWith("big"));
    expect(text).toStartWith("HTTP/1.1 413");
  });

  test("go no faster than whoever takes them", async () => {
    const LIMIT = 1 << 30;
    const stuck = await RawServer.start((socket) => socket.pause());
    const { front } = inFront(stuck);
    let uploaded = 0;
    const upload = new ReadableStream({
      pull(controller) {
        uploaded += 1 << 20;
        if (uploaded > LIMIT) return controller.close();
        controller.enqueue(new Uint8Array(1 << 20));
      },
    });
    const stop = new AbortController();
    const refused = fetch(front.url, { method: "POST", body: upload, signal: stop.signal }).catch(
      () => "cut",
    );
    await until(
      settledAt(() => uploaded),
      (still) => still && uploaded > 0,
    );
    expect(uploaded).toBeLessThan(LIMIT / 8);
    stop.abort();
    expect(await refused).toBe("cut");

    let downloaded = 0;
    const fast = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: () =>
        new Response(
          new ReadableStream({
            pull(controller) {
              downloaded += 1 << 20;
              if (downloaded > LIMIT) return controller.close();
              controller.enqueue(new Uint8Array(1 << 20));
            },
          }),
        ),
    });
    closing.defer(() => fast.stop(true));
    const other = closing.use(new Front({ origin: `http://127.0.0.1:${fast.port}` }));
    const answer = await fetch(other.url);
    await until(
      settledAt(() => downloaded),
      (still) => still && downloaded > 0,
    );
    expect(downloaded).toBeLessThan(LIMIT / 8);
    expect(other.open).toBe(1);
    await answer.body!.cancel();
    await until(
      async () => other.open,
      (open) => open === 0,
    );
  });

  /** Whether a number has stood still from one look to the next ten. */
  function settledAt(read: () => number): () => Promise<boolean> {
    let last = -1;
    let same = 0;
    return async () => {
      same = read() === last ? same + 1 : 0;
      last = read();
      return same > 10;
    };
  }

  test("of an event stream pass at once, and its end at either side is that of the other", async () => {
    const machine = await RawServer.start((socket) =>
      socket.write(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
      ),
    );
    const { front } = inFront(machine);
    const opening = fetch(front.url);
    await until(
      async () => machine.sockets.size,
      (size) => size === 1,
    );
    const [socket] = machine.sockets;
    socket!.write("3\r\n:0\n\r\n");
    const reader = (await opening).body!.getReader();
    for (const event of [":0\n", ":1\n", ":2\n"]) {
      expect(new TextDecoder().decode((await reader.read()).value)).toBe(event);
      if (event !== ":2\n") socket!.write(`3\r\n${event === ":0\n" ? ":1" : ":2"}\n\r\n`);
    }
    expect(front.open).toBe(1);
    await reader.cancel();
    await until(
      async () => machine.sockets.size + front.open,
      (left) => left === 0,
    );
  });

  test("a client that leaves before the answer takes its request with it", async () => {
    const machine = await RawServer.start(() => undefined);
    const { front } = inFront(machine);
    for (const request of [
      "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc",
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ]) {
      const asked = machine.heads.length;
      const client = await Bun.connect({
        hostname: "127.0.0.1",
        port: front.port,
        socket: { open: (socket) => void socket.write(request), data: () => undefined },
      });
      await until(
        async () => machine.heads.length,
        (heads) => heads > asked,
      );
      client.terminate();
      await until(
        async () => machine.sockets.size + front.open,
        (left) => left === 0,
      );
    }
  });

  test("that change something are never sent twice", async () => {
    let connections = 0;
    const dies = await RawServer.start((socket, head) => {
      connections++;
      if (head.startsWith("GET")) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      else socket.destroy();
    });
    const { front } = inFront(dies);
    expect(await (await fetch(front.url)).text()).toBe("ok");
    expect((await fetch(front.url, { method: "DELETE" })).status).toBe(503);
    expect((await fetch(front.url, { method: "POST", body: "x" })).status).toBe(503);
    expect({ connections, heads: dies.heads.length }).toEqual({ connections: 3, heads: 3 });
  });
});

describe("instances", () => {
  /** A box that sleeps until its proxy is asked, and has its public URL there. */
  async function hosted(prefix: string): Promise<{ box: Box; front: Front; wakes: () => number }> {
    const box = closing.use(new Box());
    let wakes = 0;
    const front: Front = new Front({
      async wake() {
        wakes++;
        await box.join("--public-url", front.publicUrl);
        const { port }: DaemonInfo = readDaemonInfo(homePaths(box.home.env.SYNCROPEL_HOME!).daemon)!;
        return { origin: `http://127.0.0.1:${port}` };
      },
      sleep: () => box.stop(),
    });
    closing.use(front);
    return { box, front: prefix === "" ? front : front.under(prefix), wakes: () => wakes };
  }

  test("behind a prefix and behind a host name are woken, pair, and sync with signed requests", async () => {
    const alice = await hosted("/i/alice");
    const bob = await hosted("");
    const asleep = [alice, bob].flatMap(({ front }) =>
      Array.from({ length: 5 }, () => fetch(`${front.publicUrl}/health`)),
    );
    expect((await Promise.all(asleep)).map(({ status }) => status)).toEqual(new Array(10).fill(200));
    expect([alice.wakes(), bob.wakes()]).toEqual([1, 1]);
    expect((await whoIs(alice.box)).url).toBe(`${alice.front.url}/i/alice`);
    await pairBoxes(alice.box, bob.box);
    for (const { box } of [alice, bob]) {
      await box.emit([
        { thread: "th_a", actor: "did:sync:user:alice", act: "DO", body: { by: (await whoIs(box)).did } },
        {
          thread: "th_consent",
          actor: (await whoIs(box)).did,
          act: "LEARN",
          body: { topic: "grant", from: "th_*", to: "*" },
        },
      ]);
    }
    for (const [self, other] of [
      [alice, bob],
      [bob, alice],
    ] as const) {
      const { outcomes, stderr } = await syncBox(self.box);
      expect({ stderr, failures: outcomes.map(({ failure }) => failure) }).toEqual({
        stderr: "",
        failures: [null],
      });
      expect(outcomes[0]!.peer_did).toBe((await whoIs(other.box)).did);
      expect(outcomes[0]!.pulled + outcomes[0]!.deduplicated).toBeGreaterThan(0);
    }
    expect(await bob.front.sleep()).toBe("asleep");
    // The request that wakes it was signed before it started, and is let in all the same.
    expect((await syncBox(alice.box)).outcomes[0]!.failure).toBeNull();
    expect(bob.wakes()).toBe(2);
  });
});
