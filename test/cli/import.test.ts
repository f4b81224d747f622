import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Box } from "../kit/box.ts";
import { filesOf, snapshot } from "../kit/snapshot.ts";
import { splBinary } from "../kit/spl.ts";

setDefaultTimeout(30_000);

/** `spl import` with the compiled binary: every flag, each time into a home of its own. */

const PEER = "did:sync:instance:box-0123456789012345678901234567890123456789";

interface Status {
  instance_did: string;
  records: number;
  threads: number;
  digest: string;
  epoch: number;
}

interface Running extends Status {
  pid: number;
}

let source: Box;
let before: Status;
let bundle: string;

beforeAll(async () => {
  source = await Box.serving("--name", "laptop");
  await source.emit([
    { thread: "th_federation_pairs", act: "LEARN", body: { topic: "pair", peer_did: PEER } },
    ...[1, 2, 3, 4].map((n) => ({ thread: `th_${n % 2}`, act: "DO", body: { n } })),
  ]);
  before = await source.json<Status>("status");
  bundle = source.file("migration.tar.zst");
  await source.ok("export", "--out", bundle);
  await source.ok("export", "--no-identity", "--out", source.file("anonymous.tar"));
});
afterAll(() => source[Symbol.asyncDispose]());

const said = (inserted: number, deduplicated: number, identity: string, dry = false) => `✓ Bundle verified
  signature:     valid
  source DID:    ${before.instance_did}

→ ${dry ? "Dry run..." : "Importing..."}
  records inserted:    ${inserted}
  records deduplicated: ${deduplicated}
  threads:             3
  federation pairs:    1
  identity:            ${identity}

✓ ${dry ? "Dry run complete, nothing was written" : "Import complete"}
`;
const ADOPTED = "adopted (private key matches incoming bundle)";
const UNCHANGED = "unchanged (already this identity)";
const target = (box: Box) => `importing into ${box.home.env.SYNCROPEL_HOME}/run/spl.sock (local daemon)\n`;
const didOf = async (box: Box) => (await box.json<Status>("status")).instance_did;

describe("into a fresh instance", () => {
  test("as in the journey, word for word; afterwards it is that instance, without a restart", async () => {
    await using box = await Box.serving();
    const own = await box.json<Running>("status");
    expect(await box.spl(["import", bundle])).toEqual({
      stdout: said(5, 0, ADOPTED),
      stderr: target(box),
      status: 0,
    });
    const after = await box.json<Running>("status");
    expect(after).toMatchObject({
      instance_did: before.instance_did,
      records: before.records,
      threads: before.threads,
      digest: before.digest,
      pid: own.pid,
    });
    expect(after.epoch).toBeGreaterThan(own.epoch);
    expect(await box.json("thread", "list")).toEqual(await source.json("thread", "list"));
    expect(await box.json("actor", "list")).toEqual(await source.json("actor", "list"));
    const [pair] = await box.json<object[]>("federation", "list");
    expect(pair).toEqual({
      id: expect.any(String),
      peer_did: PEER,
      url: null,
      state: "establishing",
      approval: "there",
      last_sync: null,
      mode: "polling",
      interval_s: 60,
      threads: null,
      problem: null,
    });
    for (const thread of ["th_0", "th_1", "th_federation_pairs"]) {
      expect(await box.ok("thread", "records", thread)).toBe(await source.ok("thread", "records", thread));
    }
    const { id } = await box.json<{ id: string }>("do", "signed by who it is now");
    expect(await box.json("record", "show", id)).toMatchObject({ signer: before.instance_did });
    const keys = Object.keys(filesOf(join(box.home.env.SYNCROPEL_HOME!, "keys")));
    expect(keys).toContain(`retired/${own.instance_did.split("-").at(-1)}.key`);
  });

  test("again changes nothing; exported again it is the same file", async () => {
    await using box = await Box.serving();
    await box.ok("import", bundle);
    const state = await snapshot(box);
    expect(await box.spl(["import", bundle])).toEqual({
      stdout: said(0, 5, UNCHANGED),
      stderr: target(box),
      status: 0,
    });
    expect((await snapshot(box)).status).toEqual(state.status);
    await box.ok("export", "--out", box.file("back.tar.zst"));
    expect(readFileSync(box.file("back.tar.zst")).equals(readFileSync(bundle))).toBe(true);
    // And the other way: the source itself has nothing to learn from it.
    expect((await source.spl(["import", box.file("back.tar.zst")])).stdout).toBe(said(0, 5, UNCHANGED));
  });

  test("from standard input, each signature checked", async () => {
    await using box = await Box.serving();
    const { stdout, status } = await box.spl(["import", "-", "--deep"], readFileSync(bundle));
    expect({ stdout, status }).toEqual({ stdout: said(5, 0, ADOPTED), status: 0 });
    await using piped = await Box.serving();
    const line = `"$1" export --out - | SYNCROPEL_HOME="$2" "$1" import - -o json`;
    const pipe = Bun.spawnSync(
      ["bash", "-o", "pipefail", "-c", line, "bash", splBinary(), piped.home.env.SYNCROPEL_HOME!],
      {
        env: source.home.env,
      },
    );
    expect(pipe.exitCode).toBe(0);
    expect(await didOf(piped)).toBe(before.instance_did);
  });

  test("told to machines under the names that scripts rely on, with a receipt", async () => {
    await using box = await Box.serving();
    const { stdout, stderr } = await box.spl(["import", bundle, "-o", "json"]);
    expect(stderr).toBe("");
    const summary = JSON.parse(stdout);
    expect(summary).toMatchObject({
      signature: "valid",
      source_did: before.instance_did,
      inspected: 5,
      inserted: 5,
      deduplicated: 0,
      refused: 0,
      threads: 3,
      federation_pairs: 1,
      identity: "adopted",
    });
    expect(Object.keys(summary.receipt).sort()).toEqual([
      "deduplicated",
      "destination_did",
      "digest",
      "imported_at",
      "inserted",
      "records",
      "records_root",
      "sig",
      "source_did",
    ]);
    expect(summary.receipt).toMatchObject({
      source_did: before.instance_did,
      destination_did: before.instance_did,
      digest: before.digest,
      records: 5,
    });
  });
});

describe("with a flag", () => {
  test("--dry-run tells the same and writes nothing", async () => {
    await using box = await Box.serving();
    const state = await snapshot(box);
    expect((await box.spl(["import", "--dry-run", bundle])).stdout).toBe(said(5, 0, ADOPTED, true));
    expect(await box.json("import", "--dry-run", bundle)).toMatchObject({
      dry_run: true,
      inserted: 5,
      receipt: null,
    });
    expect(await snapshot(box)).toEqual(state);
  });

  test("--keep-identity takes the records and stays who it is", async () => {
    await using box = await Box.serving();
    const own = await didOf(box);
    const { stdout, stderr } = await box.spl(["import", "--keep-identity", bundle]);
    expect(stdout).toBe(said(5, 0, `kept ${own} (--keep-identity)`));
    expect(stderr).toBe(
      `${target(box)}1 federation pair of ${before.instance_did} without effect under another identity\n`,
    );
    expect(await didOf(box)).toBe(own);
    expect(await box.json<object[]>("federation", "list")).toEqual([]);
  });

  test("a bundle without identity leaves the instance who it is", async () => {
    await using box = await Box.serving();
    const own = await didOf(box);
    const { stdout } = await box.spl(["import", source.file("anonymous.tar")]);
    expect(stdout).toBe(said(5, 0, `not in bundle (kept ${own})`));
    expect(await didOf(box)).toBe(own);
  });

  test("--force-overwrite unites, and only it may; nothing is deleted", async () => {
    await using box = await Box.serving();
    await box.ok("intend", "written here", "--thread", "th_here");
    const state = await snapshot(box);
    expect(await box.spl(["import", bundle])).toEqual({
      stdout: "",
      stderr: `${target(box)}import refused: local store has 1 records; pass --force-overwrite to import anyway\n`,
      status: 5,
    });
    const refused = await box.spl(["import", bundle, "-o", "json"]);
    expect(refused.status).toBe(5);
    expect(refused.stderr.split("\n").length).toBe(2);
    expect(JSON.parse(refused.stderr)).toEqual({
      type: "urn:syncropel:problem:store_not_empty",
      title: "Store not empty",
      status: 409,
      code: "store_not_empty",
      detail: "import refused: local store has 1 records; pass --force-overwrite to import anyway",
      records: 1,
    });
    expect(await snapshot(box)).toEqual(state);
    expect((await box.spl(["import", "--force-overwrite", bundle])).stdout).toBe(said(5, 0, ADOPTED));
    expect(await box.json("status")).toMatchObject({
      records: 6,
      threads: 4,
      instance_did: before.instance_did,
    });
    expect(await box.ok("thread", "records", "th_here")).toContain("written here");
    expect((await box.spl(["import", "--force-overwrite", bundle])).stdout).toBe(said(0, 5, UNCHANGED));
    expect(await box.json("status")).toMatchObject({ records: 6 });
  });

  test("--expect-did lets in no one else's bundle", async () => {
    await using box = await Box.serving();
    const own = await didOf(box);
    const state = await snapshot(box);
    expect(await box.spl(["import", "--expect-did", own, bundle])).toEqual({
      stdout: "",
      stderr: `${target(box)}import refused: this is a bundle of ${before.instance_did}, not of ${own}; check which file you meant; leave out --expect-did to import it anyway\n`,
      status: 5,
    });
    expect(await snapshot(box)).toEqual(state);
    expect((await box.spl(["import", "--expect-did", before.instance_did, bundle])).status).toBe(0);
  });
});

test("one import at a time: the second is refused and the first goes on", async () => {
  await using box = await Box.serving();
  const own = await didOf(box);
  const file = readFileSync(bundle);
  const first = Bun.spawn([splBinary(), "import", "-"], {
    env: box.home.env,
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
  });
  first.stdin.write(file.subarray(0, 600));
  await first.stdin.flush();
  // The spool is there as soon as the instance has taken the first one in.
  const run = join(box.home.env.SYNCROPEL_HOME!, "run");
  while (!Object.keys(filesOf(run)).some((name) => name.endsWith(".spool"))) await box.json("status");
  for (const flags of [[], ["--dry-run"], ["--force-overwrite"]]) {
    expect(await box.spl(["import", bundle, ...flags])).toEqual({
      stdout: "",
      stderr: `${target(box)}an import is running already; wait for it to end and try again\n`,
      status: 5,
    });
  }
  expect(await didOf(box)).toBe(own);
  first.stdin.write(file.subarray(600));
  await first.stdin.end();
  expect(await first.stdout.text()).toBe(said(5, 0, ADOPTED));
  expect(await first.exited).toBe(0);
  expect(Object.keys(filesOf(run)).filter((name) => name.endsWith(".spool"))).toEqual([]);
});

test("wrong usage", async () => {
  await using box = await Box.serving();
  const state = await snapshot(box);
  const wrong: [args: string[], line: string][] = [
    [[], "FILE is missing; see 'spl import --help'"],
    [[bundle, bundle], `unexpected argument '${bundle}' for 'spl import'; see 'spl import --help'`],
    [[bundle, "--force"], "unknown flag --force for 'spl import'; see 'spl import --help'"],
    [[bundle, "--expect-did"], "--expect-did needs a value; type --expect-did DID"],
    [[bundle, "--decrypt-key="], "--decrypt-key needs a value; type --decrypt-key FILE"],
    [
      ["--", bundle, "--dry-run"],
      "unexpected argument '--dry-run' for 'spl import'; see 'spl import --help'",
    ],
  ];
  for (const [args, line] of wrong) {
    expect(await box.spl(["import", ...args])).toEqual({ stdout: "", stderr: `${line}\n`, status: 2 });
  }
  const cannot = (path: string, why: string) => ({
    stdout: "",
    stderr: `${target(box)}cannot read ${path}: ${why}\n`,
    status: 1,
  });
  expect(await box.spl(["import", "none.tar"])).toEqual(
    cannot(box.file("none.tar"), "no such file or directory"),
  );
  expect(await box.spl(["import", "/"])).toEqual(cannot("/", "it is a directory; name a file"));
  expect(await box.spl(["import", `${bundle}/x`])).toEqual(
    cannot(`${bundle}/x`, "a part of the path is not a directory"),
  );
  expect(await snapshot(box)).toEqual(state);
});
