import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { Box } from "../kit/box.ts";
import { dripping, Liar, ndjson } from "../kit/liar.ts";
import { syncBox, whoIs, writePair } from "../kit/paired.ts";
import { makeEntry } from "../kit/records.ts";

/** The compiled daemon, and a peer on a real socket that sends more than anyone could keep. */

const GIB = 1024 ** 3;
const LINE = `{"id":"${"x".repeat((1 << 16) - 9)}"}\n`;
/** What the daemon may take up beyond what it had: some pages, and far less than was sent. */
const MOST_MIB = 200;

/** Peak resident memory of a process, MiB. */
function peak(pid: number): number {
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) / 1024;
}

test("a body of 1 GiB, a line without end and a gzip bomb cost the daemon little, and it recovers", async () => {
  await using liar = new Liar();
  await using box = await Box.joining();
  const { did } = await whoIs(box);
  await writePair(box, did, { peer_did: liar.signer.did, url: liar.url, state: "active" });
  const good = makeEntry({ thread: "th_good" }, { signer: liar.signer });
  liar.answer = () => liar.page([good]);
  expect((await syncBox(box)).outcomes[0]).toMatchObject({ pulled: 1, failure: null });
  const { pid } = await box.json<{ pid: number }>("status");
  const before = peak(pid);

  const bomb = gzipSync(Buffer.alloc(256 << 20));
  const lies: [Liar["answer"], RegExp][] = [
    [() => ndjson(dripping(LINE, 0, GIB / LINE.length)), /more than \d+ bytes/],
    [() => ndjson(dripping("x".repeat(1 << 20), 0, 1024)), /a line of more than \d+ bytes/],
    [() => ndjson(dripping(LINE, 0), { "content-length": String(GIB) }), /more than \d+ bytes/],
    [
      () =>
        new Response(bomb, {
          headers: { "content-type": "application/x-ndjson", "content-encoding": "gzip" },
        }),
      /encoded as gzip/,
    ],
  ];
  for (const [answer, says] of lies) {
    liar.answer = answer;
    const { outcomes, status } = await syncBox(box);
    expect(status).not.toBe(0);
    expect(outcomes[0]!.failure).toMatchObject({ code: "peer_misbehaves" });
    expect(outcomes[0]!.failure!.message).toMatch(says);
    const [pair] = await box.json<{ problem: string | null }[]>("federation", "list");
    expect(pair!.problem).toMatch(says);
  }
  expect(peak(pid) - before).toBeLessThan(MOST_MIB);

  const next = makeEntry({ thread: "th_good", clock: 1 }, { signer: liar.signer });
  liar.answer = () => liar.page([next]);
  expect((await syncBox(box)).outcomes[0]).toMatchObject({ pulled: 1, failure: null });
  const [pair] = await box.json<{ problem: string | null }[]>("federation", "list");
  expect(pair!.problem).toBeNull();
  expect((await box.json<{ pid: number }>("status")).pid).toBe(pid);
}, 60_000);
