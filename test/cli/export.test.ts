import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Box } from "../kit/box.ts";
import { outside } from "../kit/outside.ts";
import { runSpl, secretOf, splBinary } from "../kit/spl.ts";

setDefaultTimeout(30_000);

/** `spl export` with the compiled binary: every flag, and what other programs make of the file. */

const PEER = "did:sync:instance:box-0123456789012345678901234567890123456789";

let box: Box;
let did: string;
let socket: string;
let files = 0;

beforeAll(async () => {
  box = await Box.serving();
  const learn = (thread: string, body: object) => ({ thread, act: "LEARN", body });
  await box.emit([
    learn("th_federation_pairs", { topic: "pair", peer_did: PEER, url: "https://box.example.com" }),
    ...["photos", "notes"].map((from) => learn("th_consent", { topic: "grant", from, to: "default" })),
    ...[1, 2, 3, 4].map((n) => ({ thread: `th_${n % 2}`, act: "DO", body: { n } })),
  ]);
  const status = await box.json<{ instance_did: string; home: string }>("status");
  did = status.instance_did;
  socket = join(status.home, "run/spl.sock");
});
afterAll(() => box[Symbol.asyncDispose]());

const summary = (path: string, identity = `included (${did})`) => `✓ Bundle written to ${path}
  records:       7
  threads:       4
  federation pairs: 1
  consent grants:   2
  identity:      ${identity}
  signed:        yes
`;
const target = () => `exporting from ${socket} (local daemon)\n`;
const warning = () =>
  `this file can act as you: it holds the private key of ${did} in the clear; keep it like a password, or use --encrypt-to\n`;

/** A path that nothing is at. */
const fresh = (extension: string) => box.file(`bundle-${files++}${extension}`);

/** Exports to a fresh file and gives its bytes. */
async function exported(extension: string, ...flags: string[]): Promise<Buffer> {
  const path = fresh(extension);
  await box.ok("export", "--out", path, ...flags);
  return readFileSync(path);
}

const members = (tar: Uint8Array) =>
  outside(["tar", "-tf", "-"], { stdin: tar }).toString().trimEnd().split("\n");
const untouched = (path: string) =>
  !readdirSync(box.home.path).some((name) => box.file(name).startsWith(path));

describe("what is said", () => {
  test("as in the journey, word for word", async () => {
    const { stdout, stderr, status } = await box.spl(["export", "--out", box.file("migration.tar.zst")]);
    expect(stdout).toBe(summary("~/migration.tar.zst"));
    expect(stderr).toBe(target() + warning());
    expect(status).toBe(0);
    expect(statSync(box.file("migration.tar.zst")).mode & 0o777).toBe(0o600);
    expect(readdirSync(box.home.path).filter((name) => name.includes("tmp"))).toEqual([]);
  });

  test("to machines, under the names that scripts rely on", async () => {
    const path = fresh(".tar");
    const facts = await box.json("export", "--out", path);
    expect(facts).toEqual({
      path,
      records: 7,
      threads: 4,
      federation_pairs: 1,
      consent_grants: 2,
      identity: "included",
      signed: true,
      records_root: expect.stringMatching(/^[0-9a-f]{64}$/),
      bundle_sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      bytes: statSync(path).size,
    });
  });

  test("without --out, the file is named after the instance", async () => {
    const name = `${did.split(":").at(-1)}.tar.zst`;
    expect((await box.spl(["export"])).stdout).toBe(summary(name));
    expect((await box.spl(["verify", name])).status).toBe(0);
    const plain = await box.spl(["export", "--uncompressed"]);
    expect(plain.stdout).toBe(summary(name.replace(".zst", "")));
  });
});

describe("the file", () => {
  test("is compressed as its name says, and the same each time", async () => {
    const tar = await exported(".tar");
    const gz = await exported(".tar.gz");
    const zst = await exported(".tar.zst");
    expect(outside(["gzip", "-dc"], { stdin: gz }).equals(tar)).toBe(true);
    expect(outside(["zstd", "-dc"], { stdin: zst }).equals(tar)).toBe(true);
    expect((await exported(".tar.zst")).equals(zst)).toBe(true);
    expect((await exported(".bundle")).equals(zst)).toBe(true);
    expect((await exported(".bundle", "--uncompressed")).equals(tar)).toBe(true);
    expect(members(tar).slice(0, 8)).toEqual([
      "manifest.json",
      "manifest.sig",
      "identity/did_document.json",
      "identity/public_key.pem",
      "identity/private_key.bin",
      "identity/signers.jsonl",
      "accounts/service_accounts.jsonl",
      "records/th_0/signatures-000000.jsonl",
    ]);
  });

  test("goes to standard output whole, with the summary beside it", async () => {
    const path = fresh(".tar.zst");
    await box.ok("export", "--out", path);
    const child = Bun.spawnSync([splBinary(), "export", "--out", "-"], { env: box.home.env });
    expect(child.stdout.equals(readFileSync(path))).toBe(true);
    expect(child.stderr.toString()).toBe(target() + warning() + summary("standard output"));
    expect(child.exitCode).toBe(0);
    const json = Bun.spawnSync([splBinary(), "export", "--out", "-", "--uncompressed", "-o", "json"], {
      env: box.home.env,
    });
    expect(members(json.stdout).length).toBe(7 + 4 + 7);
    expect(JSON.parse(json.stderr.toString().split("\n").at(-2)!)).toMatchObject({ path: "-", records: 7 });
  });

  test("--no-identity leaves the key out and warns of nothing", async () => {
    const path = fresh(".tar");
    const { stdout, stderr } = await box.spl(["export", "--no-identity", "--out", path]);
    expect(stdout).toBe(summary(path.replace(box.home.path, "~"), "none"));
    expect(stderr).toBe(target());
    expect(members(readFileSync(path))).not.toContain("identity/private_key.bin");
  });

  test("--identity-only holds the key and nothing else", async () => {
    const path = fresh(".tar");
    const { stdout } = await box.spl(["export", "--identity-only", "--out", path]);
    expect(stdout).toContain(`  records:       0\n  threads:       0\n`);
    expect(stdout).toContain(`  identity:      only (${did})\n`);
    expect(members(readFileSync(path)).filter((each) => each.startsWith("records/"))).toEqual([]);
    await using other = await Box.serving();
    expect((await other.spl(["import", path])).stdout).toContain(
      "  records inserted:    0\n  records deduplicated: 0\n  threads:             0\n  federation pairs:    0\n  identity:            adopted",
    );
    expect(await other.json("identity", "show")).toMatchObject({ did });
  });

  test("--carry-tokens keeps tokens valid across a move, and only it does", async () => {
    await using source = await Box.serving();
    const { token } = (await (
      await fetch("http://localhost/v1/tokens", {
        unix: join(source.home.env.SYNCROPEL_HOME!, "run/spl.sock"),
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ account: "ci", scopes: ["records:read"] }),
      })
    ).json()) as { token: string };
    await source.ok("intend", "move");
    for (const [flags, status] of [
      [[], 4],
      [["--carry-tokens"], 0],
    ] as const) {
      const path = fresh(".tar");
      await source.ok("export", "--out", path, ...flags);
      expect(members(readFileSync(path)).includes("accounts/tokens.jsonl")).toBe(status === 0);
      expect(readFileSync(path).includes(secretOf(token))).toBe(false);
      await using host = await Box.serving();
      await host.ok("import", path);
      const { url } = await host.json<{ url: string }>("status");
      const asked = await runSpl(["status", "--url", url, "-o", "json"], { env: { SPL_TOKEN: token } });
      expect(asked.status).toBe(status);
    }
  });

  test("--offline reads a home without its daemon, to the same bytes", async () => {
    await using own = await Box.serving();
    await own.ok("intend", "survive");
    await own.ok("export", "--out", own.file("live.tar"));
    expect(await own.spl(["export", "--offline", "--out", own.file("x.tar")])).toEqual({
      stdout: "",
      stderr: `the daemon of ${own.home.env.SYNCROPEL_HOME} is running; leave out --offline, or spl serve --stop\n`,
      status: 5,
    });
    await own.stop();
    const { stdout, stderr } = await own.spl(["export", "--offline", "--out", "off.tar"]);
    expect(stdout).toStartWith("✓ Bundle written to off.tar\n  records:       1\n");
    expect(stderr).toMatch(/^this file can act as you: .*\n$/);
    expect(readFileSync(own.file("off.tar")).equals(readFileSync(own.file("live.tar")))).toBe(true);
    // A home that was copied without what belongs to its host.
    outside(["rm", "-r", join(own.home.env.SYNCROPEL_HOME!, "run")]);
    expect((await own.spl(["export", "--offline", "--out", "copy.tar"])).status).toBe(0);
    const none = await runSpl(["export", "--offline", "--out", "x.tar"]);
    expect(none.stderr).toMatch(
      /^there is no store at \S+\/syncro\/hub\.db; spl init makes a new instance there, spl restore BUNDLE brings one back\n$/,
    );
    expect(none.status).toBe(1);
  });
});

describe("encrypted", () => {
  const age = Bun.which("age") !== null;

  test.skipIf(!age)("to recipients: any of them opens it, with age or with spl", async () => {
    const plain = await exported(".tar.zst");
    const keys = ["a", "b"].map((name) => {
      const file = box.file(`${name}.key`);
      const said = Bun.spawnSync(["age-keygen", "-o", file]).stderr.toString();
      return { file, recipient: /age1\w+/.exec(said)![0] };
    });
    const path = fresh(".tar.zst.age");
    const to = keys.map(({ recipient }) => recipient).join(",");
    const { stdout, stderr } = await box.spl(["export", "--encrypt-to", to, "--out", path]);
    expect(stdout).toBe(summary(path.replace(box.home.path, "~")));
    expect(stderr).toBe(
      `${target()}whoever opens this file can act as you: it holds the private key of ${did}\n`,
    );
    expect(readFileSync(path).includes("th_federation_pairs")).toBe(false);
    for (const { file } of keys) {
      expect(outside(["age", "-d", "-i", file, path]).equals(plain)).toBe(true);
      const opened = await box.spl(["verify", path, "--decrypt-key", file]);
      expect(opened.stdout).toStartWith("✓ Bundle verified\n");
    }
    await using host = await Box.serving();
    expect((await host.spl(["import", "--decrypt-key", keys[1]!.file, path])).stdout).toEndWith(
      "✓ Import complete\n",
    );
    const stranger = box.file("stranger.key");
    Bun.spawnSync(["age-keygen", "-o", stranger]);
    expect(await box.spl(["verify", path, "--decrypt-key", stranger])).toEqual({
      stdout: "",
      stderr:
        "none of the keys opens this bundle; pass --decrypt-key FILE with the key it was encrypted to\n",
      status: 1,
    });
  });

  test("with a passphrase, which a script has in SPL_PASSPHRASE", async () => {
    const path = fresh(".tar.age");
    const run = (args: string[], SPL_PASSPHRASE: string) =>
      runSpl(args, { home: box.home, env: { SPL_PASSPHRASE } });
    expect((await run(["export", "--passphrase", "--out", path], "correct horse")).status).toBe(0);
    expect(readFileSync(path).toString("latin1", 0, 21)).toBe("age-encryption.org/v1");
    expect((await run(["bundle", "show", path], "correct horse")).stdout).toStartWith(path);
    expect(await box.spl(["verify", path])).toEqual({
      stdout: "",
      stderr: "The bundle's passphrase is needed, and there is no terminal; put it in SPL_PASSPHRASE\n",
      status: 2,
    });
  });

  test("to nobody who could open it is refused before anything is sent", async () => {
    const path = fresh(".age");
    for (const [flags, line] of [
      [
        ["--encrypt-to", "bob"],
        '"bob" is not an age recipient; age-keygen -o key.txt makes a key and prints its age1… recipient',
      ],
      [
        ["--encrypt-to", "age1,"],
        '"age1" is not an age recipient; age-keygen -o key.txt makes a key and prints its age1… recipient',
      ],
      [
        ["--passphrase"],
        "Passphrase for the bundle is needed, and there is no terminal; put it in SPL_PASSPHRASE, or pass --encrypt-to",
      ],
      [["--passphrase", "--encrypt-to", "age1x"], "--encrypt-to and --passphrase exclude each other"],
    ] as const) {
      expect(await box.spl(["export", "--out", path, ...flags])).toEqual({
        stdout: "",
        stderr: `${line}\n`,
        status: 2,
      });
    }
    expect(untouched(path)).toBe(true);
  });
});

describe("where it cannot or should not be written", () => {
  const refusal = async (out: string, ...flags: string[]) => {
    const { stdout, stderr, status } = await box.spl(["export", "--out", out, ...flags]);
    expect(stdout).toBe("");
    return `${status}: ${stderr}`;
  };

  test("a file that exists stays, unless --force", async () => {
    const path = fresh(".tar");
    writeFileSync(path, "precious");
    expect(await refusal(path)).toBe(`5: ${path} exists; pass --force to replace it, or name another file\n`);
    expect(readFileSync(path, "utf8")).toBe("precious");
    await box.ok("export", "--out", path, "--force");
    expect((await box.spl(["verify", path])).status).toBe(0);
    const link = fresh(".tar");
    symlinkSync(path, link);
    expect(await refusal(link)).toStartWith("5: ");
    symlinkSync("nowhere", fresh(".tar"));
    expect(await refusal(box.file(`bundle-${files - 1}.tar`))).toStartWith("5: ");
  });

  test("a missing folder, a folder, a part of the path that is a file", async () => {
    const folder = box.file("folder");
    outside(["mkdir", folder]);
    for (const flags of [[], ["--force"]]) {
      expect(await refusal(box.file("none/x.tar"), ...flags)).toBe(
        `1: cannot write ${box.file("none/x.tar")}: no such file or directory\n`,
      );
      expect(await refusal(folder, ...flags)).toBe(
        `1: cannot write ${folder}: it is a directory; name a file\n`,
      );
    }
    const file = fresh(".txt");
    writeFileSync(file, "");
    expect(await refusal(join(file, "x.tar"))).toBe(
      `1: cannot write ${file}/x.tar: a part of the path is not a directory\n`,
    );
    expect(readdirSync(folder)).toEqual([]);
  });

  test("a pipe, or a device behind a link, is never replaced by a file", async () => {
    const pipe = fresh(".pipe");
    outside(["mkfifo", pipe]);
    const link = fresh(".link");
    symlinkSync("/dev/full", link);
    for (const path of [pipe, link, "/dev/full"]) {
      expect(await refusal(path)).toBe(
        `1: cannot write ${path}: it is a device or pipe, no file; name a file\n`,
      );
    }
    for (const path of [pipe, link]) {
      expect(await refusal(path, "--force")).toBe(
        `1: cannot write ${path}: it is a device or pipe, no file; name a file\n`,
      );
    }
    expect(statSync(pipe).isFIFO()).toBe(true);
    expect(statSync(link).isCharacterDevice()).toBe(true);
  });

  test("a full device, and a reader that goes away, are told and not taken for success", async () => {
    const bash = (line: string) =>
      Bun.spawnSync(["bash", "-c", line, "bash", splBinary()], {
        env: box.home.env,
        stdout: "pipe",
        stderr: "pipe",
      });
    const full = bash(`"$1" export --out - >/dev/full`);
    expect(full.stderr.toString()).toBe(
      `${target()}cannot write to standard output: no space left on the device; free some space and run the same command again; nothing was changed\n`,
    );
    expect(full.exitCode).toBe(1);
    // More than a pipe holds, so that the end cannot be in it already.
    await box.emit([{ thread: "th_large", act: "PUT", body: { text: "x".repeat(1_000_000) } }]);
    const gone = bash(`set -o pipefail; "$1" export --uncompressed --out - | head -c 9`);
    expect(gone.stdout.toString()).toBe("manifest.");
    expect(gone.stderr.toString()).toBe(
      `${target()}standard output was closed before the bundle was complete\n`,
    );
    expect(gone.exitCode).toBe(1);
  });

  const wrong: [flags: string[], line: string][] = [
    [["--out"], "--out needs a value; type --out PATH"],
    [["--out", "a", "--out", "b"], "--out is given twice; see 'spl export --help'"],
    [["x.tar"], "unexpected argument 'x.tar' for 'spl export'; see 'spl export --help'"],
    [["--identity"], "unknown flag --identity for 'spl export'; see 'spl export --help'"],
    [["--froce"], "unknown flag --froce for 'spl export'; did you mean --force?"],
    [["--no-identity", "--identity-only"], "--no-identity and --identity-only exclude each other"],
    [["--no-identity", "--carry-tokens"], "--carry-tokens needs the identity; leave out --no-identity"],
    [["--identity-only", "--carry-tokens"], "--identity-only and --carry-tokens exclude each other"],
    [["--offline", "--url", "http://localhost:1"], "--offline reads this machine's home; leave out --url"],
    [["--uncompressed", "--out", "x.tar.gz"], "--uncompressed does not fit x.tar.gz; name it .tar"],
  ];
  test("flags that contradict each other", async () => {
    for (const [flags, line] of wrong) {
      expect(await box.spl(["export", ...flags])).toEqual({ stdout: "", stderr: `${line}\n`, status: 2 });
    }
  });
});
