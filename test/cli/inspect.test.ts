import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { counted } from "../../lib/base/text.ts";
import { VERSION } from "../../lib/base/version.ts";
import { Box } from "../kit/box.ts";
import { outside } from "../kit/outside.ts";
import { filesOf } from "../kit/snapshot.ts";
import { runSpl } from "../kit/spl.ts";

setDefaultTimeout(30_000);

/** What a person looks at: the instance, its identity and health, bundles, and what differs between two of them. */

const HEX = /^[0-9a-f]{64}$/;
const PEER = "did:sync:instance:box-0123456789012345678901234567890123456789";

interface Status {
  instance_did: string;
  url: string;
  epoch: number;
  digest: string;
  home: string;
  pid: number;
}
interface Export {
  records_root: string;
  bundle_sha256: string;
}

let box: Box;
let status: Status;
let facts: Export;
beforeAll(async () => {
  box = await Box.serving();
  await box.emit([
    {
      thread: "th_federation_pairs",
      act: "LEARN",
      body: { topic: "pair", peer_did: PEER, url: "https://box.example" },
    },
    ...[1, 2, 3].map((n) => ({ thread: "th_a", act: "DO", actor: "did:sync:user:bob", body: { n } })),
  ]);
  status = await box.json<Status>("status");
  facts = await box.json<Export>("export", "--out", "a.tar.zst");
});
afterAll(() => box[Symbol.asyncDispose]());

const done = (stdout: string) => ({ stdout, stderr: "", status: 0 });

describe("an instance", () => {
  test("is made once, with a name that its DID keeps", async () => {
    await using made = new Box();
    const home = made.home.env.SYNCROPEL_HOME!;
    for (const name of ["Bad Name", "-x", "a/b", "x".repeat(64)]) {
      for (const args of [
        ["init", `--name=${name}`],
        ["serve", "--daemon", `--name=${name}`],
      ]) {
        expect(await made.spl(args)).toEqual({
          stdout: "",
          stderr: `"${name}" cannot name an instance; use 1 to 63 of a-z 0-9 and hyphens, with no hyphen at either end\n`,
          status: 2,
        });
      }
      expect(existsSync(home)).toBe(false);
    }
    const { stdout } = await made.spl(["init", "--name", "box"]);
    expect(stdout).toMatch(/^✓ Instance made in (\S+)\n {2}DID: did:sync:instance:box-[0-9a-f]{40}\n$/);
    expect(stdout).toContain(` in ${home}\n`);
    expect(statSync(home).mode & 0o777).toBe(0o700);
    const files = filesOf(home);
    const again = await made.spl(["init"]);
    expect(again).toEqual({
      stdout: "",
      stderr: `there is an instance at ${home} already; spl identity show tells who it is; set SYNCROPEL_HOME to use another home\n`,
      status: 1,
    });
    expect(filesOf(home)).toEqual(files);
    expect((await made.spl(["serve", "--daemon", "--port", "0", "--name", "other"])).stderr).toBe(
      "the instance is named box; its DID fixes that; leave out --name\n",
    );
    const fresh = await runSpl(["init", "-o", "json"]);
    expect(JSON.parse(fresh.stdout)).toEqual({
      home: expect.any(String),
      instance_did: expect.stringMatching(/^did:sync:instance:local-/),
      epoch: expect.any(Number),
    });
  });

  test("says who it is and how much it holds", async () => {
    expect(Object.keys(status).sort()).toEqual(
      "digest epoch forks home instance_did moved_to pid records same_address since state status threads uptime_s url version".split(
        " ",
      ),
    );
    expect(status).toMatchObject({
      status: "ok",
      version: VERSION,
      state: "active",
      records: 4,
      threads: 2,
      forks: 0,
    });
    expect(await box.ok("status")).toMatch(
      new RegExp(`^✓ healthy
  instance_did:  ${status.instance_did}
  state:         active
  records:       4
  threads:       2
  forks:         0
  digest:        ${status.digest}
  epoch:         ${status.epoch} \\(\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z\\)
  url:           ${status.url}
  home:          ${status.home}
  pid:           ${status.pid}
  uptime:        \\d+ s
  version:       ${VERSION}
$`),
    );
  });

  test("shows its identity", async () => {
    const identity = await box.json<{ public_key: string; document: { id: string } }>("identity", "show");
    expect(Object.keys(identity)).toEqual([
      "did",
      "public_key",
      "epoch",
      "state",
      "moved_to",
      "same_address",
      "since",
      "document",
    ]);
    expect(identity).toMatchObject({ did: status.instance_did, epoch: status.epoch });
    expect(identity.document.id).toBe(status.instance_did);
    expect(await box.spl(["identity", "show"])).toEqual(
      done(
        `${status.instance_did}\n  public key:  ${identity.public_key}\n  epoch:       ${status.epoch}\n  state:       active\n`,
      ),
    );
    // The DID certifies its key, as anyone can check.
    const fingerprint = new Bun.CryptoHasher("sha256")
      .update(Buffer.from(identity.public_key, "hex"))
      .digest("hex");
    expect(status.instance_did).toEndWith(`-${fingerprint.slice(0, 40)}`);
  });

  test("lists its pairs", async () => {
    const [pair, ...rest] = await box.json<{ id: string }[]>("federation", "list");
    expect(rest).toEqual([]);
    expect(pair).toMatchObject({
      peer_did: PEER,
      url: "https://box.example",
      state: "establishing",
      last_sync: null,
      mode: "polling",
      interval_s: 60,
      threads: null,
      problem: null,
    });
    expect(await box.ok("federation", "list")).toBe(
      `ID            PEER${" ".repeat(60)}URL                  STATE         LAST_SYNC\n${pair!.id.slice(0, 12)}  ${PEER}  https://box.example  establishing  never\n`,
    );
  });
});

describe("doctor", () => {
  test("examines a running instance", async () => {
    const { stdout, stderr, status: exit } = await box.spl(["doctor", "--deep"]);
    expect({ stderr, exit }).toEqual({ stderr: "", exit: 0 });
    const rows = stdout.trimEnd().split("\n");
    expect(rows.map((row) => row.slice(0, 17).trimEnd())).toEqual(
      "permissions disk store records forks identity steward clock tokens peers port backup drill"
        .split(" ")
        .map((check) => `PASS  ${check}`),
    );
    expect(rows[3]).toBe(`PASS  records      4 records, digest ${status.digest}, every signature checked`);
    expect(rows[10]).toMatch(/^PASS {2}port {9}\d+, this home's daemon \(pid \d+\)$/);
    expect(rows[11]).toMatch(/^PASS {2}backup {7}none yet, and due \d{4}-\S+Z: spl backup$/);
    expect(await box.ok("doctor", "--rebuild")).toContain("PASS  rebuild      rebuilt to the same values\n");
    expect(await box.json("status")).toMatchObject({ digest: status.digest });
    const [row] = await box.json<object[]>("doctor");
    expect(row).toEqual({
      check: "permissions",
      result: "pass",
      detail: "home, keys and store are private",
      fix: null,
    });
  });

  test("ends with status 1 for warnings and 2 for failures, and each row says what to type", async () => {
    await using sick = new Box();
    const home = sick.home.env.SYNCROPEL_HOME!;
    await sick.ok("init");
    chmodSync(home, 0o755);
    const open = await sick.spl(["doctor"]);
    expect(open.status).toBe(1);
    expect(open.stdout).toStartWith(`WARN  permissions  others may read ${home}  → chmod go-rwx ${home}\n`);
    expect(open.stderr).toMatch(/^\d warnings?; do what the rows above say\n$/);
    outside(["bash", "-c", `rm "$1"/keys/*.key`, "bash", home]);
    const failed = await sick.spl(["doctor"]);
    expect(failed.status).toBe(2);
    expect(failed.stdout).toMatch(
      /\nFAIL {2}open {9}the private key \S+ is missing {2}→ put the file back [^\n]+\n(?:PASS|WARN) {2}port [^\n]+\nWARN {2}backup {7}no backup [^\n]+\nWARN {2}drill {8}no drill [^\n→]+\n$/,
    );
    expect(failed.stderr).toBe("1 check failed; do what the rows above say\n");
    const none = await runSpl(["doctor"]);
    expect(none.stdout).toMatch(
      /^FAIL {2}permissions {2}there is no home at \S+\/syncro {2}→ set SYNCROPEL_HOME to where it is, or do as the row open says\nFAIL {2}disk {9}there is no home at \S+\/syncro {2}→ set SYNCROPEL_HOME to where it is, or do as the row open says\nFAIL {2}open {9}there is no store at \S+ {2}→ spl init makes a new instance there, spl restore BUNDLE brings one back\n(?:PASS|WARN) {2}port [^\n]+\nWARN {2}backup {7}no backup [^\n→]+\nWARN {2}drill {8}no drill [^\n→]+\n$/,
    );
    expect(none.status).toBe(2);
  });

  test("with -o json all rows are one array, and the failure is a problem document", async () => {
    await using sick = new Box();
    await sick.ok("init");
    chmodSync(sick.home.env.SYNCROPEL_HOME!, 0o755);
    const { stdout, stderr, status: exit } = await sick.spl(["doctor", "-o", "json"]);
    expect(exit).toBe(1);
    const rows = JSON.parse(stdout) as { check: string; result: string; fix: string | null }[];
    expect(rows[0]).toMatchObject({ check: "permissions", result: "warn" });
    expect(rows.filter(({ result, fix }) => result !== "pass" && !fix)).toEqual([]);
    expect(JSON.parse(stderr)).toMatchObject({ code: "warned" });
    expect(await sick.ok("doctor", "--help")).toContain(
      "Exit status: 0 all passes, 1 warnings only, 2 a check failed, or wrong usage\n",
    );
  });

  test("tells of the port: free, taken by another program, or any", async () => {
    await using quiet = new Box();
    await quiet.ok("init");
    const row = async () =>
      /^.*port .*$/m.exec((await quiet.spl(["doctor"])).stdout)?.[0].replaceAll(/ +/g, " ");
    const other = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
    const { port } = other;
    const config = join(quiet.home.env.SYNCROPEL_HOME!, "config.toml");
    writeFileSync(config, `[listen]\nport = ${port}\n`);
    expect(await row()).toBe(
      `WARN port another program listens on ${port}: spl serve would not start → ss -ltnp 'sport = :${port}' says which; spl serve --port takes another`,
    );
    other.stop(true);
    expect(await row()).toBe(`PASS port ${port} is free`);
    writeFileSync(config, "[listen]\nport = 0\n");
    expect(await row()).toBe("PASS port any free one");
    expect((await quiet.spl(["doctor"])).status).toBe(0);
    writeFileSync(config, "[listen\n");
    expect(await row()).toContain(`FAIL port ${config} is not TOML`);
  });

  test("a daemon that does not answer is a failure", async () => {
    await using stuck = await Box.serving();
    const { pid } = await stuck.json<{ pid: number }>("status");
    process.kill(pid, "SIGSTOP");
    try {
      const { stdout, status: exit } = await stuck.spl(["doctor"]);
      expect(stdout).toContain(
        `FAIL  port         the daemon (pid ${pid}) does not answer  → kill -9 ${pid} ends it without losing what it acknowledged; then spl serve --daemon\n`,
      );
      expect(exit).toBe(2);
    } finally {
      process.kill(pid, "SIGCONT");
    }
  });
});

describe("a bundle", () => {
  const manifest = () => `  source DID:        ${status.instance_did}
  records:           4
  threads:           2
  federation pairs:  1
  consent grants:    0
  identity:          included
  tokens:            none
  records root:      ${facts.records_root}
  bundle sha256:     ${facts.bundle_sha256}
`;

  test("is verified without an instance, from a file or standard input", async () => {
    const told = done(
      `✓ Bundle verified\n  signature:         valid\n${manifest()}  digest:            ${status.digest}\n`,
    );
    expect(await box.spl(["verify", "a.tar.zst"])).toEqual(told);
    expect(await box.spl(["verify", "--deep", "a.tar.zst"])).toEqual(told);
    expect(await runSpl(["verify", "-"], { stdin: readFileSync(box.file("a.tar.zst")) })).toEqual(told);
    expect(await box.json("verify", "a.tar.zst")).toEqual({
      signature: "valid",
      digest: status.digest,
      format: "spl-bundle",
      bundle_version: 1,
      source_did: status.instance_did,
      public_key: expect.stringMatching(HEX),
      record_count: 4,
      thread_count: 2,
      federation_pairs: 1,
      consent_grants: 0,
      identity: "included",
      tokens: "none",
      records_root: facts.records_root,
      bundle_sha256: facts.bundle_sha256,
    });
  });

  test("is shown by its manifest, and listed member by member", async () => {
    expect(await box.spl(["bundle", "show", "a.tar.zst"])).toEqual(done(`a.tar.zst\n${manifest()}`));
    expect(await box.json("bundle", "show", "a.tar.zst")).toMatchObject({ records_root: facts.records_root });
    await box.ok("export", "--out", "a.tar");
    const list = (await box.ok("bundle", "ls", "a.tar")).trimEnd().split("\n");
    const names = outside(["tar", "-tf", box.file("a.tar")])
      .toString()
      .trimEnd()
      .split("\n");
    expect(list.map((row) => row.slice(77))).toEqual(names);
    const rows = await box.json<{ path: string; size: number; sha256: string }[]>(
      "bundle",
      "ls",
      "a.tar.zst",
    );
    for (const { path, size, sha256 } of rows) {
      const content = outside(["tar", "-xOf", box.file("a.tar"), path]);
      expect([size, sha256]).toEqual([
        content.length,
        new Bun.CryptoHasher("sha256").update(content).digest("hex"),
      ]);
    }
    expect(rows.map(({ path }) => path)).toEqual(names);
    const ndjson = (await box.ok("bundle", "ls", "-o", "ndjson", "a.tar")).trimEnd().split("\n");
    expect(ndjson.map((row) => JSON.parse(row))).toEqual(rows);
  });

  test("that cannot be read", async () => {
    for (const command of [["verify"], ["bundle", "show"], ["bundle", "ls"]]) {
      expect(await box.spl([...command, "none.tar"])).toEqual({
        stdout: "",
        stderr: `cannot read ${box.file("none.tar")}: no such file or directory\n`,
        status: 1,
      });
      expect((await box.spl([...command, "."])).stderr).toBe(
        `cannot read ${box.home.path}: it is a directory; name a file\n`,
      );
      expect(await box.spl(command)).toEqual({
        stdout: "",
        stderr: `FILE is missing; see 'spl ${command.join(" ")} --help'\n`,
        status: 2,
      });
    }
  });
});

describe("diff", () => {
  test("finds nothing between equals, whatever their form", async () => {
    await box.ok("export", "--no-identity", "--out", "b.tar.gz");
    const equal = "✓ equal: 4 records on both sides\n";
    expect(await box.spl(["diff", "a.tar.zst", "b.tar.gz"])).toEqual(done(equal));
    const from = `exporting from ${status.home}/run/spl.sock (--url)\n`;
    expect(await box.spl(["diff", "a.tar.zst", status.url])).toEqual({
      stdout: equal,
      stderr: from,
      status: 0,
    });
    // Two instances compare what they hold without either sending it.
    expect(await box.spl(["diff", status.url, status.url])).toEqual(done(equal));
    expect(await box.json("diff", "a.tar.zst", "b.tar.gz")).toEqual({
      differences: [],
      equal: true,
      records_a: 4,
      records_b: 4,
      only_a: 0,
      only_b: 0,
      envelopes: 0,
    });
    expect(await box.spl(["diff", "a.tar.zst", "b.tar.gz", "-o", "ndjson"])).toEqual(done(""));
  });

  test("names the exact records that are not on both sides, with status 1", async () => {
    await using twin = await Box.serving();
    await twin.ok("import", box.file("a.tar.zst"));
    const there = await twin.json<{ id: string; clock: number }>(
      "do",
      "there",
      "--thread",
      "th_a",
      "--actor",
      "did:sync:user:bob",
    );
    await twin.ok("export", "--out", box.file("twin.tar.zst"));
    const row = `th_a 3 did:sync:user:bob ${there.id}`;
    const message = (a: number, b: number) =>
      `the two differ: ${counted(a, "record")} only in the first, ${b} only in the second, 0 signed otherwise\n`;
    expect(await box.spl(["diff", "a.tar.zst", "twin.tar.zst"])).toEqual({
      stdout: `+ ${row}\n`,
      stderr: message(0, 1),
      status: 1,
    });
    expect(await box.spl(["diff", "twin.tar.zst", "a.tar.zst"])).toEqual({
      stdout: `- ${row}\n`,
      stderr: message(1, 0),
      status: 1,
    });
    const json = await box.spl(["diff", "a.tar.zst", "twin.tar.zst", "-o", "json"]);
    expect(JSON.parse(json.stdout)).toMatchObject({
      differences: [{ kind: "only_b", thread: "th_a", id: there.id, clock: 3, actor: "did:sync:user:bob" }],
      equal: false,
      only_b: 1,
    });
    expect(JSON.parse(json.stderr)).toMatchObject({ code: "differs", only_a: 0, only_b: 1 });
    const { url } = await twin.json<Status>("status");
    expect((await box.spl(["diff", "a.tar.zst", url])).status).toBe(4);
  });

  test("compares nothing with what is damaged or not there", async () => {
    await Bun.write(box.file("cut.tar.zst"), readFileSync(box.file("a.tar.zst")).subarray(0, -9));
    const damaged = await box.spl(["diff", "a.tar.zst", "cut.tar.zst"]);
    expect(damaged.status).toBe(6);
    expect(damaged.stderr).toStartWith("bundle malformed: zstd: ends in the middle of a frame; ");
    expect((await box.spl(["diff", "a.tar.zst", "none"])).status).toBe(1);
    expect(await box.spl(["diff", "a.tar.zst"])).toEqual({
      stdout: "",
      stderr: "B is missing; see 'spl diff --help'\n",
      status: 2,
    });
  });
});
