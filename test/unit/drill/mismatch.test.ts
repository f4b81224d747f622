import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../../lib/base/clock.ts";
import { drill } from "../../../lib/drill/drill.ts";
import { keptReceipts } from "../../../lib/drill/receipts.ts";
import type { Phase } from "../../../lib/drill/types.ts";
import { Box } from "../../kit/box.ts";
import { splBinary } from "../../kit/spl.ts";

setDefaultTimeout(60_000);

/** What came back is meddled with behind the drill's back, at the start of one of its phases. */

let box: Box;
let bundle: string;
let scratch: string;

beforeAll(async () => {
  box = await Box.serving();
  scratch = box.file("t");
  mkdirSync(scratch);
  await box.emit([1, 2, 3].map((n) => ({ thread: "th_a", act: "DO", body: { n } })));
  await box.ok("service-account", "create", "--name", "ci", "--scopes", "records:read");
  bundle = box.file("b.tar");
  await box.ok("export", "--out", bundle);
});
afterAll(() => box[Symbol.asyncDispose]());

/** Runs a command on the instance that came back, as the drill of this test reaches the phase. */
function drilled(when: Phase, args: string[], keep = false) {
  let meddled = false;
  const onPhase = (phase: Phase) => {
    if (phase !== when || meddled) return;
    meddled = true;
    const [folder] = readdirSync(scratch);
    const env = { ...box.home.env, SYNCROPEL_HOME: join(scratch, folder!, "home") };
    const { success, stderr } = Bun.spawnSync([splBinary(), ...args], { env, stderr: "pipe" });
    if (!success) throw new Error(stderr.toString());
  };
  return drill(
    { kind: "bundle", name: bundle, bytes: Bun.file(bundle).size, open: () => Bun.file(bundle).stream() },
    {
      env: { ...box.home.env, TMPDIR: scratch },
      clock: systemClock,
      signal: new AbortController().signal,
      keep,
      onPhase,
    },
  );
}

test("one record more: the fresh export is another", async () => {
  const failure = drilled("re-export", ["intend", "be one more"]);
  await expect(failure).rejects.toMatchObject({
    code: "verification_failed",
    message: expect.stringMatching(
      /^drill failed in the phase re-export: records_root came back as [0-9a-f]{64}, but the bundle has [0-9a-f]{64}$/,
    ),
    hint: "do not rely on this bundle; spl drill --keep leaves what came back, to look at",
    detail: { phase: "re-export" },
  });
  expect(keptReceipts(box.home.env, null)).toEqual([]);
  expect(readdirSync(scratch)).toEqual([]);
});

test("an account less is found before anything is exported", async () => {
  await expect(drilled("compare", ["service-account", "revoke", "ci", "--yes"])).rejects.toMatchObject({
    code: "verification_failed",
    message: expect.stringMatching(
      /^drill failed in the phase compare: the accounts came back as a list of 0 /,
    ),
  });
  expect(readdirSync(scratch)).toEqual([]);
});

test("with --keep what came back stays, to be looked at where the failure says", async () => {
  const failure = await drilled("re-export", ["intend", "be one more"], true).then(fail, (error) => error);
  const kept = String(failure.detail.kept);
  expect(failure.hint).toContain(
    `what came back is in ${join(kept, "home")}, private key included; remove ${kept}`,
  );
  const env = { ...box.home.env, SYNCROPEL_HOME: join(kept, "home") };
  const { stdout } = Bun.spawnSync([splBinary(), "doctor"], { env });
  expect(stdout.toString()).toContain("PASS  records      4 records");
  rmSync(kept, { recursive: true });
  expect(readdirSync(scratch)).toEqual([]);
});

function fail(): never {
  throw new Error("the drill found nothing wrong");
}

test("left alone, it comes back", async () => {
  expect(await drilled("compare", ["status"])).toMatchObject({ records: 3, accounts: 1, same_file: true });
  expect(keptReceipts(box.home.env, null)).toHaveLength(1);
});
