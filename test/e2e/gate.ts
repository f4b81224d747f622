/**
 * D49, the release gate (spec, section 12): `bun run gate`. With the compiled binary alone, instances of several
 * shapes go through export → import into a fresh instance → export, and back again. It fails unless bytes,
 * digests, identity, threads, pairs, consent and actors are equal, a second import inserts nothing, and the
 * reverse trip ends where it began. Last it flips every bit of a tiny bundle.
 */
import { Box } from "../kit/box.ts";
import { flipEveryBit } from "../kit/flips.ts";
import { SHAPES, type Shape } from "../kit/shapes.ts";

let passed = 0;
let failed = 0;

function check(what: string, ok: boolean): void {
  if (ok) passed++;
  else {
    failed++;
    console.log(`    FAILED: ${what}`);
  }
}

function same(what: string, a: unknown, b: unknown): void {
  check(`${what}: ${brief(a)} and ${brief(b)}`, Bun.deepEquals(a, b, true));
}

function brief(value: unknown): string {
  return JSON.stringify(value).slice(0, 300);
}

async function sameBytes(what: string, a: string, b: string): Promise<void> {
  const hash = async (path: string) =>
    new Bun.CryptoHasher("sha256").update(await Bun.file(path).bytes()).digest("hex");
  same(what, await hash(a), await hash(b));
}

/** What two equal instances show alike; host and time are left out. */
async function portrait(box: Box) {
  const status = await box.json("status");
  const { did, public_key } = await box.json("identity", "show");
  const threads = await box.json<{ thread: string }[]>("thread", "list");
  const first = threads[0]?.thread;
  return {
    counts: [status.records, status.threads, status.forks],
    digest: status.digest,
    did: status.instance_did,
    identity: [did, public_key],
    threads,
    pairs: await box.json("federation", "list"),
    actors: await box.json("actor", "list"),
    records: first === undefined ? "" : Bun.hash(await box.ok("thread", "records", first)).toString(),
  };
}

async function prove({ name, extensions, fill }: Shape): Promise<void> {
  const began = performance.now();
  await using source = await Box.serving();
  await fill(source);
  const before = await portrait(source);
  let bytes = 0;
  for (const extension of extensions) {
    const [there, back, again] = ["there", "back", "again"].map((leg) => source.file(leg + extension)) as [
      string,
      string,
      string,
    ];
    const exported = await source.json("export", "--out", there);
    bytes ||= Number(exported.bytes);
    const verified = await source.json("verify", there, "--deep");
    same(
      "what verify says of the bundle",
      [verified.digest, verified.records_root],
      [before.digest, exported.records_root],
    );

    await using host = await Box.serving();
    const moved = await host.json("import", there);
    same(
      "what the import says",
      [moved.inserted, moved.deduplicated, moved.identity],
      [before.counts[0], 0, "adopted"],
    );
    same("the instance after the move", await portrait(host), before);
    const exportedBack = await host.json("export", "--out", back);
    same("consent and pairs in the manifest", exportedBack, { ...exported, path: back });
    await sameBytes("the bundle exported again", there, back);

    const repeated = await host.json("import", there);
    same(
      "a second import",
      [repeated.inserted, repeated.deduplicated, repeated.identity],
      [0, before.counts[0], "unchanged"],
    );
    const returned = await source.json("import", back);
    same(
      "the way back",
      [returned.inserted, returned.deduplicated, returned.identity],
      [0, before.counts[0], "unchanged"],
    );

    await using fresh = await Box.serving();
    await fresh.ok("import", back);
    await fresh.ok("export", "--out", again);
    await sameBytes("the reverse trip", there, again);
    same("the source at the end", await portrait(source), before);
  }
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  console.log(
    `  ${name}: ${before.counts[0]} records, ${before.counts[1]} threads, ${bytes} bytes, ${extensions.join(" ")}, ${seconds} s`,
  );
}

async function flip(): Promise<void> {
  await using box = await Box.serving();
  await box.emit([{ thread: "th_a", actor: "did:sync:user:alice", act: "DO", body: { n: 1 } }]);
  await box.ok("export", "--out", box.file("tiny.tar"));
  await box.ok("export", "--out", box.file("tiny.tar.zst"));
  const tar = await Bun.file(box.file("tiny.tar")).bytes();
  for (const name of ["tiny.tar", "tiny.tar.zst"]) {
    const file = await Bun.file(box.file(name)).bytes();
    const { refused, harmless, missed } = await flipEveryBit(file, tar);
    console.log(
      `  ${name}: of ${file.length * 8} flipped bits ${refused} refused, ${harmless} without effect, ${missed.length} missed`,
    );
    check(
      `every flipped bit of ${name} is refused${name === "tiny.tar" ? "" : " or decodes to the identical tar"}`,
      missed.length === 0,
    );
    if (name === "tiny.tar") check("no bit of a .tar is without effect", harmless === 0);
  }
}

console.log("D49: export → import → export, and back");
for (const shape of SHAPES) await prove(shape);
console.log("one flipped bit");
await flip();
console.log(`gate: ${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
