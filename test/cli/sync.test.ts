import { beforeAll, describe, expect, test } from "bun:test";
import { renameSync, rmSync } from "node:fs";
import { emission } from "../kit/app.ts";
import { Box } from "../kit/box.ts";
import { changeBoxPair, pairBoxes, syncBox, whoIs } from "../kit/paired.ts";
import { splBinary, twinOf } from "../kit/spl.ts";

beforeAll(() => void splBinary());

async function digestOf(box: Box, thread: string): Promise<string> {
  return (await box.json<{ digest: string }>("thread", "show", thread)).digest;
}

function* records(thread: string, n: number, from = 0): Generator<object> {
  for (let i = from; i < from + n; i++) yield emission(thread, `record ${i}`);
}

describe("two instances on one machine", () => {
  test("pull from each other, and say what they did", async () => {
    await using a = await Box.joining();
    await using b = await Box.joining();
    await pairBoxes(a, b);
    const peer = await whoIs(b);
    await b.emit(records("th_disk", 25));
    await b.emit(records("th_other", 5));
    expect(await a.ok("sync", "th_disk", "from", peer.did)).toStartWith(`✓ ${peer.did}: pulled 25 records (`);
    expect((await a.json<unknown[]>("thread", "list")).length).toBe(2);
    const { outcomes, status } = await syncBox(a);
    expect(status).toBe(0);
    expect(outcomes).toMatchObject([{ peer_did: peer.did, pulled: 5, refused: {}, failure: null }]);
    for (const thread of ["th_disk", "th_other"])
      expect(await digestOf(a, thread)).toBe(await digestOf(b, thread));
    const [pair] = await a.json<{ last_sync: string | null; problem: string | null }[]>("federation", "list");
    expect(pair!.problem).toBeNull();
    expect(Date.now() - Date.parse(pair!.last_sync!)).toBeLessThan(60_000);
  });

  test("a peer that is gone is named, the others still run", async () => {
    await using a = await Box.joining();
    await using b = await Box.joining();
    await using c = await Box.joining();
    await pairBoxes(a, b);
    await pairBoxes(a, c);
    await c.emit(records("th_c", 3));
    await b.stop();
    const mixed = await syncBox(a);
    expect(mixed.status).toBe(1);
    expect(mixed.outcomes.map(({ failure }) => failure?.code ?? null).sort()).toEqual(
      [null, "peer_unreachable"].sort(),
    );
    expect(mixed.outcomes.find(({ failure }) => failure === null)).toMatchObject({ pulled: 3 });
    expect(JSON.parse(mixed.stderr)).toMatchObject({ code: "sync_failed", failed: 1, pairs: 2 });
    await c.stop();
    const alone = await a.spl(["sync"]);
    expect(alone.status).toBe(3);
    expect(
      alone.stdout.match(
        /^✗ .*\n {2}cannot reach http:\/\/127\.0\.0\.1:\d+: connection refused; spl federation refresh did:\S+ looks/gm,
      ),
    ).toHaveLength(2);
    const list = await a.json<{ problem: string | null }[]>("federation", "list");
    for (const { problem } of list)
      expect(problem).toMatch(/connection refused; spl federation refresh did:/);
  });

  test("a thread that the peer does not share is no success", async () => {
    await using a = await Box.joining();
    await using b = await Box.joining();
    await pairBoxes(a, b);
    const { did } = await whoIs(b);
    const text = await a.spl(["sync", "th_nowhere", "from", did]);
    expect(text.status).toBe(1);
    // What failed is told once, where errors are told.
    expect(text.stdout).toMatch(new RegExp(`^✗ ${did}: pulled 0 records .*\\n$`));
    expect(text.stderr).toStartWith(`${did} shares no thread th_nowhere; there, spl consent grant --from`);
    const json = await a.spl(["sync", "th_nowhere", "from", did, "-o", "json"]);
    expect(json.status).toBe(1);
    expect(JSON.parse(json.stdout)).toMatchObject([{ pulled: 0, failure: { code: "not_found" } }]);
    // The pair itself is well.
    expect(await a.json<object[]>("federation", "list")).toMatchObject([{ problem: null }]);
  });

  test("refusals before anything is asked", async () => {
    await using a = await Box.joining();
    for (const args of [["th_x"], ["th_x", "of", "did:sync:x"], ["th_x", "from"]]) {
      const { status, stderr, stdout } = await a.spl(["sync", ...args]);
      expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
      expect(stderr).toContain("spl sync THREAD from DID");
    }
    expect(await a.spl(["sync", "nonsense", "from", "did:sync:x"])).toEqual({
      stdout: "",
      stderr: '"nonsense" is no thread id; spl thread list shows them\n',
      status: 2,
    });
    const unknown = await a.spl(["sync", "th_x", "from", "did:sync:instance:nobody"]);
    expect(unknown.status).toBe(1);
    expect(unknown.stderr).toBe("there is no pair did:sync:instance:nobody; spl federation list shows all\n");
    const none = await a.spl(["sync"]);
    expect(none).toEqual({
      status: 0,
      stdout: "",
      stderr: expect.stringMatching(
        /^no active pairs: nothing to pull; spl federation pair URL asks for one, spl federation list shows all\n$/,
      ),
    });
    expect((await a.spl(["sync", "-o", "json"])).stdout).toBe("[]\n");
  });

  test("an instance that runs isolated asks nobody", async () => {
    await using a = await Box.joining();
    await using b = await Box.joining();
    await pairBoxes(a, b);
    await a.stop();
    await a.serve();
    const { outcomes, status } = await syncBox(a);
    expect(status).toBe(1);
    expect(outcomes[0]!.failure).toMatchObject({ code: "address_refused" });
  });

  test("a private address is refused unless the home's settings allow it", async () => {
    await using a = await Box.serving();
    await using b = await Box.joining();
    await pairBoxes(a, b);
    await a.stop();
    await a.ok("serve", "--daemon", "--port", "0");
    const { outcomes } = await syncBox(a);
    await a.stop();
    expect(outcomes[0]!.failure?.code).toBe("address_refused");
    expect(outcomes[0]!.failure?.message).toContain("127.0.0.1");
  });
});

test("a home that was set back to a former state gives everything that it writes from there", async () => {
  await using a = await Box.joining();
  await using b = await Box.joining();
  await pairBoxes(a, b);
  await b.emit(records("th_before", 3));
  await syncBox(a);
  await b.stop();
  using former = twinOf(b.home);
  await b.join();
  await b.emit(records("th_lost", 3));
  expect((await syncBox(a)).outcomes).toMatchObject([{ pulled: 3, failure: null }]);
  await b.stop();
  const home = b.home.env.SYNCROPEL_HOME!;
  rmSync(home, { recursive: true });
  renameSync(former.env.SYNCROPEL_HOME!, home);
  await b.join();
  await b.emit(records("th_after", 5));
  expect((await syncBox(a)).outcomes).toMatchObject([{ pulled: 5, failure: null }]);
  expect(await digestOf(a, "th_after")).toBe(await digestOf(b, "th_after"));
});

test("three in a ring have the same in the end", async () => {
  await using a = await Box.joining();
  await using b = await Box.joining();
  await using c = await Box.joining();
  const ring = [a, b, c];
  await pairBoxes(a, b);
  await pairBoxes(b, c);
  await pairBoxes(c, a);
  for (const [n, box] of ring.entries()) await box.emit(records(`th_${n}`, 40 + n));
  for (let round = 0; round < 3; round++) for (const box of ring) expect((await syncBox(box)).status).toBe(0);
  for (const thread of ["th_0", "th_1", "th_2"]) {
    const digests = await Promise.all(ring.map((box) => digestOf(box, thread)));
    expect(new Set(digests).size).toBe(1);
  }
  for (const box of ring) {
    const { outcomes } = await syncBox(box);
    for (const outcome of outcomes) expect(outcome).toMatchObject({ pulled: 0, deduplicated: 0 });
  }
});

test("a continuous pair brings a record within a moment, without anyone asking", async () => {
  await using a = await Box.joining();
  await using b = await Box.joining();
  await pairBoxes(a, b);
  await syncBox(a);
  await changeBoxPair(a, (await whoIs(b)).did, { mode: "continuous" });
  const following = Bun.spawn([splBinary(), "thread", "records", "-f", "th_live"], {
    env: a.home.env,
    stdout: "pipe",
    stderr: "ignore",
  });
  const reader = following.stdout.getReader();
  await b.emit(records("th_live", 1));
  const { value } = await reader.read();
  expect(new TextDecoder().decode(value)).toContain("record 0");
  following.kill();
  await following.exited;
});

describe("paired by their operators", () => {
  test("records come by themselves, and go on coming when one side has moved and its old home is gone", async () => {
    await using laptop = await Box.joining();
    await using desk = await Box.joining();
    await laptop.emit(records("th_work", 10));
    const { url } = await whoIs(desk);
    await laptop.ok("federation", "pair", url);
    const [request] = await desk.json<{ id: string }[]>("federation", "list");
    await desk.ok("federation", "approve", request!.id);
    // Approval was a moment ago, and the first poll comes at once.
    const arrived = async (box: Box, thread: string, n: number) => {
      for (;;) {
        const { stdout } = await box.spl(["thread", "show", thread, "-o", "json"]);
        if (stdout !== "" && (JSON.parse(stdout) as { records: number }).records >= n) return;
      }
    };
    await arrived(desk, "th_work", 10);
    await desk.emit(records("th_desk", 3));
    expect((await syncBox(laptop)).outcomes).toMatchObject([{ pulled: 3, failure: null }]);

    const bundle = laptop.file("move.tar.zst");
    await laptop.ok("export", "--out", bundle);
    await laptop.ok("serve", "--stop");
    await using home = await Box.joining();
    await home.ok("import", bundle);
    const [moved] = await home.json<{ last_sync: string | null; state: string }[]>("federation", "list");
    expect(moved).toMatchObject({ last_sync: null, state: "active" });
    await home.emit(records("th_work", 5, 10));
    await desk.emit(records("th_desk", 4, 3));
    const pulled = await syncBox(home);
    expect(pulled).toMatchObject({ status: 0, outcomes: [{ pulled: 4, deduplicated: 0, failure: null }] });
    const back = await syncBox(desk);
    expect(back).toMatchObject({ status: 0, outcomes: [{ pulled: 5, deduplicated: 0, failure: null }] });
    for (const thread of ["th_work", "th_desk"])
      expect(await digestOf(home, thread)).toBe(await digestOf(desk, thread));
    const [seen] = await desk.json<{ url: string; state: string }[]>("federation", "list");
    expect(seen).toMatchObject({ url: (await whoIs(home)).url, state: "active" });
  });
});

describe("spl diff between two instances", () => {
  test("names exactly the records that differ, by what both hold", async () => {
    await using a = await Box.joining("--insecure-localhost");
    await using b = await Box.joining("--insecure-localhost");
    await pairBoxes(a, b);
    await b.emit(records("th_same", 300));
    await syncBox(a);
    await a.emit(records("th_a", 2));
    await b.emit(records("th_b", 1));
    const [left, right] = [await whoIs(a), await whoIs(b)];
    const { stdout, stderr, status } = await a.spl(["diff", left.url, right.url]);
    expect(status).toBe(1);
    const lines = stdout.trimEnd().split("\n");
    expect(lines.filter((line) => line.includes(" th_a "))).toHaveLength(2);
    expect(lines.filter((line) => line.includes(" th_b "))).toHaveLength(1);
    expect(lines.some((line) => line.includes("th_same"))).toBe(false);
    expect(lines).toContain(`- source_did ${left.did}`);
    expect(lines).toContain(`+ source_did ${right.did}`);
    // Each has a pair record of its own.
    expect(stderr).toStartWith(
      "the two differ: 3 records only in the first, 2 only in the second, 0 signed otherwise",
    );
    const json = await a.spl(["diff", left.url, right.url, "-o", "json"]);
    expect(JSON.parse(json.stdout)).toMatchObject({ equal: false, only_a: 3, only_b: 2, records_a: 303 });
    const same = await a.spl(["diff", left.url, left.url]);
    expect(same).toMatchObject({ status: 0, stdout: "✓ equal: 303 records on both sides\n" });
  });
});
