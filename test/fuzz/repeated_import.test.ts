import { expect, setDefaultTimeout, test } from "bun:test";
import { Box } from "../kit/box.ts";
import { chain, sourceOf, write } from "../kit/bundle_kit.ts";
import { testSigner } from "../kit/records.ts";
import { LIMIT_MS } from "../kit/spread.ts";

/** Bundles that come again, too late or with a gap: nothing is lost and nothing moves back. */

setDefaultTimeout(LIMIT_MS);

interface Status {
  instance_did: string;
  epoch: number;
  records: number;
  digest: string;
}

function* records(n: number, text: string): Generator<object> {
  for (let i = 0; i < n; i++) {
    yield { thread: `th_${i % 3}`, actor: "did:sync:user:alice", act: "DO", body: { text: `${text} ${i}` } };
  }
}

test("an older bundle over a newer store, and each of them again, take nothing away", async () => {
  await using source = await Box.serving();
  await source.emit(records(10, "early"));
  await source.ok("export", "--out", source.file("older.tar.zst"));
  await source.emit(records(10, "late"));
  await source.ok("export", "--out", source.file("newer.tar.zst"));

  await using target = await Box.serving();
  await target.ok("import", source.file("newer.tar.zst"));
  const { epoch, ...newest } = await target.json<Status & { uptime_s: number }>("status");
  expect(newest).toMatchObject({ records: 20 });
  for (const [file, deduplicated] of [
    ["older.tar.zst", 10],
    ["newer.tar.zst", 20],
    ["older.tar.zst", 10],
  ] as const) {
    expect(await target.json("import", "--force-overwrite", source.file(file))).toMatchObject({
      inserted: 0,
      deduplicated,
      identity: "unchanged",
    });
    const now = await target.json<Status>("status");
    const { instance_did, records, digest } = newest;
    expect(now).toMatchObject({ instance_did, records, digest });
    expect(now.epoch).toBeGreaterThanOrEqual(epoch);
  }
  await target.ok("export", "--out", target.file("again.tar.zst"));
  const [first, again] = await Promise.all(
    [source.file("newer.tar.zst"), target.file("again.tar.zst")].map((path) => Bun.file(path).bytes()),
  );
  expect(Buffer.from(first!).equals(again!)).toBe(true);
});

test("records whose parents are missing are taken as they are, listed, written on and exported again", async () => {
  const owner = testSigner(8);
  const entries = [...chain(owner, "th_gap", 5).slice(2), ...chain(owner, "th_whole", 2)];
  const bundle = await write(sourceOf(owner, entries));
  await using box = await Box.serving();
  const file = box.file("gap.tar");
  await Bun.write(file, bundle);
  expect(await box.json("import", "--deep", file)).toMatchObject({ inserted: 5 });
  await box.ok("export", "--out", box.file("again.tar"));
  expect(Buffer.from(bundle).equals(await Bun.file(box.file("again.tar")).bytes())).toBe(true);
  await box.ok("do", "go on", "--thread", "th_gap");
  const records = (await box.ok("thread", "records", "th_gap")).trim().split("\n");
  expect(records).toHaveLength(4);
  expect(JSON.parse(records[3]!)).toMatchObject({ record: { clock: 5, parents: [entries[2]!.id] } });
  await box.ok("doctor", "--deep");
});
