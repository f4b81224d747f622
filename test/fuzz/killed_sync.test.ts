import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { homePaths } from "../../lib/base/home.ts";
import { emission } from "../kit/app.ts";
import { Box } from "../kit/box.ts";
import { pairBoxes, syncBox, whoIs } from "../kit/paired.ts";

/** Several pages more than kills. */
const RECORDS = 32_000;

async function records(box: Box): Promise<number> {
  return (await box.json<{ records: number }>("status")).records;
}

function pidOf(box: Box): number {
  const { daemon } = homePaths(box.home.env.SYNCROPEL_HOME!);
  return (JSON.parse(readFileSync(daemon, "utf8")) as { pid: number }).pid;
}

/** A pair of boxes of which the second has much to tell. */
async function laden(): Promise<{ a: Box; b: Box }> {
  const [a, b] = [await Box.joining(), await Box.joining()];
  await b.emit(
    (function* () {
      for (let i = 0; i < RECORDS; i++) yield emission(`th_${i % 40}`, `record ${i}`);
    })(),
  );
  await pairBoxes(a, b);
  return { a, b };
}

test("a daemon that is killed while it pulls goes on where it was, to the same end", async () => {
  const { a, b } = await laden();
  await using _ = a;
  await using __ = b;
  let before = 0;
  for (let kill = 0; kill < 3; kill++) {
    const pulling = a.spl(["sync"]);
    while ((await records(a)) < before + 1500) await new Promise((resolve) => setImmediate(resolve));
    process.kill(pidOf(a), "SIGKILL");
    expect((await pulling).status).not.toBe(0);
    await a.join();
    const kept = await records(a);
    expect(kept).toBeGreaterThan(before);
    before = kept;
  }
  const { outcomes, status } = await syncBox(a);
  expect(status).toBe(0);
  expect(outcomes[0]!.pulled).toBeLessThan(RECORDS - 3 * 1000);
  expect(outcomes[0]!).toMatchObject({ deduplicated: 0, refused: {} });
  for (const thread of ["th_0", "th_39"]) {
    const [left, right] = await Promise.all([
      a.ok("thread", "records", thread),
      b.ok("thread", "records", thread),
    ]);
    expect(left).toBe(right);
  }
  expect(await a.ok("doctor")).toContain("structure and indexes are sound");
});

test("health answers while much is pulled", async () => {
  const { a, b } = await laden();
  await using _ = a;
  await using __ = b;
  const { url } = await whoIs(a);
  const pulling = syncBox(a);
  let done = false;
  pulling.finally(() => {
    done = true;
  });
  const took: number[] = [];
  while (!done) {
    const began = performance.now();
    await (await fetch(`${url}/health`)).text();
    took.push(performance.now() - began);
  }
  expect((await pulling).outcomes[0]).toMatchObject({ pulled: RECORDS });
  took.sort((x, y) => x - y);
  expect(took[Math.floor(took.length * 0.95)]!).toBeLessThan(100);
});
