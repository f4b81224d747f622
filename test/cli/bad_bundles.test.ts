import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { BAD_BUNDLES, GOOD_TAR } from "../kit/bad_bundles.ts";
import { Box } from "../kit/box.ts";
import { type Snapshot, snapshot } from "../kit/snapshot.ts";

setDefaultTimeout(30_000);

/**
 * Files that are no good bundle: `spl import` and `spl verify` refuse each in one line that names what is wrong, with
 * status 6, and the instance stays as it was to the byte.
 */

let box: Box;
let before: Snapshot;
beforeAll(async () => {
  box = await Box.serving();
  before = await snapshot(box);
});
afterAll(() => box[Symbol.asyncDispose]());

test("the bundle that the others come from is good", async () => {
  writeFileSync(box.file("good.tar"), GOOD_TAR);
  expect((await box.spl(["verify", "--deep", "good.tar"])).status).toBe(0);
  expect((await box.spl(["import", "--dry-run", "good.tar"])).status).toBe(0);
});

test("a file without end is refused by how it begins", async () => {
  const line =
    "bundle malformed: not a bundle: the file is neither tar nor compressed with zstd or gzip; nothing was changed; export the bundle again from its source\n";
  for (const file of ["/dev/zero", "/dev/urandom"]) {
    expect(await box.spl(["verify", file])).toEqual({ stdout: "", stderr: line, status: 6 });
    const { stderr, status } = await box.spl(["import", file]);
    expect([stderr.split("\n")[1], status]).toEqual([line.trimEnd(), 6]);
  }
  expect(await snapshot(box)).toEqual(before);
});

test.each(BAD_BUNDLES)("%s", async (_, file, message) => {
  const path = box.file("bad.bundle");
  rmSync(path, { force: true });
  writeFileSync(path, await file());
  const line = `bundle malformed: ${message}; nothing was changed; export the bundle again from its source\n`;
  const target = `importing into ${box.home.env.SYNCROPEL_HOME}/run/spl.sock (local daemon)\n`;
  expect(await box.spl(["import", path])).toEqual({ stdout: "", stderr: target + line, status: 6 });
  expect(await box.spl(["verify", path])).toEqual({ stdout: "", stderr: line, status: 6 });
  expect(await snapshot(box)).toEqual(before);
});
