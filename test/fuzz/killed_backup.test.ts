import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readdirSync } from "node:fs";
import { Box } from "../kit/box.ts";
import { runSpl } from "../kit/spl.ts";
import { inLanes, LIMIT_MS, spread } from "../kit/spread.ts";
import { callsIn, DISK_CALLS, killingAt, strikePoints } from "../kit/strace.ts";

/**
 * A backup is killed at any moment: every file under a real name verifies, and the next run leaves nothing temporary.
 * SPL_SLOW_TESTS=1 takes every moment, otherwise it is an even spread of them.
 */

setDefaultTimeout(LIMIT_MS);

test("a killed backup leaves whole files only, and the next one tidies up", async () => {
  await using box = await Box.serving();
  await box.emit([1, 2, 3].map((n) => ({ thread: "th_a", act: "DO", body: { n } })));
  let folders = 0;
  const folder = () => {
    const path = box.file(`target-${folders++}`);
    mkdirSync(path);
    return path;
  };
  const backup = (to: string, under: string[] = []) =>
    runSpl(["backup", "--to", to, "--keep-last", "1"], { home: box.home, under });
  const log = box.file("calls");
  const traced = folder();
  await backup(traced);
  // The second run, for it prunes as well.
  const { status } = await backup(traced, ["strace", "-f", "-o", log, "-e", `trace=${DISK_CALLS}`]);
  expect(status).toBe(0);
  const counts = new Set<number>();
  await inLanes(spread(strikePoints(callsIn(log)), 20), async (point) => {
    const to = folder();
    expect((await backup(to)).status).toBe(0);
    const killed = await backup(to, ["strace", "-f", "-qq", "-o", "/dev/null", ...killingAt(point)]);
    expect([0, 137]).toContain(killed.status);
    counts.add(readdirSync(to).filter((name) => /\.tar\.zst$/.test(name)).length);
    expect(await runSpl(["backup", "verify", "--to", to], { home: box.home })).toMatchObject({ status: 0 });
    expect(await backup(to)).toEqual({ stdout: "", stderr: "", status: 0 });
    expect(readdirSync(to).filter((name) => name.endsWith(".tmp"))).toEqual([]);
    expect(readdirSync(to).length).toBe(2);
  });
  expect(counts).toEqual(new Set([1, 2]));
});
