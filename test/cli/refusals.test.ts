import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { homePaths } from "../../lib/base/home.ts";
import { Box } from "../kit/box.ts";
import { asNobody, canBeNobody, NOBODY } from "../kit/nobody.ts";
import { outside } from "../kit/outside.ts";
import { filesOf, snapshot } from "../kit/snapshot.ts";
import { runSpl, splBinary } from "../kit/spl.ts";

setDefaultTimeout(30_000);

/** What is refused for the state of a home or of the machine, and wrong usage: one line, and all as it was. */

const START = ["serve", "--daemon", "--isolated", "--port", "0"];
const refused = (line: string, status: number) => ({ stdout: "", stderr: `${line}\n`, status });
const homeOf = (box: Box) => box.home.env.SYNCROPEL_HOME!;

/** A home with an instance and no daemon. */
async function made(): Promise<Box> {
  const box = new Box();
  await box.ok("init");
  return box;
}

describe("the private key", () => {
  const GONE = "put the file back from a copy of keys/, or move the home away, then spl restore BUNDLE";
  const cases: [what: string, spoil: (key: string) => void, line: (key: string) => string][] = [
    ["missing", (key) => rmSync(key), (key) => `the private key ${key} is missing; ${GONE}`],
    [
      "cut off",
      (key) => writeFileSync(key, readFileSync(key).subarray(1)),
      (key) => `the private key ${key} has 31 bytes instead of 32; ${GONE}`,
    ],
    [
      "empty",
      (key) => writeFileSync(key, ""),
      (key) => `the private key ${key} has 0 bytes instead of 32; ${GONE}`,
    ],
    [
      "another",
      (key) => writeFileSync(key, new Uint8Array(32).fill(7)),
      (key) => `the private key ${key} is another key than its name says; ${GONE}`,
    ],
    [
      "readable to the world",
      (key) => chmodSync(key, 0o644),
      (key) => `the private key ${key} is open to other users; chmod 600 ${key}`,
    ],
    [
      "writable to the group",
      (key) => chmodSync(key, 0o620),
      (key) => `the private key ${key} is open to other users; chmod 600 ${key}`,
    ],
    [
      "a folder",
      (key) => {
        rmSync(key);
        mkdirSync(key);
      },
      (key) => `the private key ${key} is no regular file; ${GONE}`,
    ],
  ];

  test.each(cases)("%s: nothing starts, and no new identity is made", async (_, spoil, line) => {
    await using box = await made();
    const keys = join(homeOf(box), "keys");
    const key = join(keys, readdirSync(keys).find((name) => /^[0-9a-f]{40}\.key$/.test(name))!);
    spoil(key);
    const files = filesOf(keys);
    const hub = filesOf(homeOf(box))["hub.db"];
    for (const args of [START, ["serve", "--port", "0"], ["export", "--offline", "--out", "x.tar"]]) {
      expect(await box.spl(args)).toEqual(refused(line(key), 1));
    }
    expect((await box.spl(["init"])).status).toBe(1);
    expect(filesOf(keys)).toEqual(files);
    expect(filesOf(homeOf(box))["hub.db"]).toBe(hub!);
    expect(existsSync(box.file("x.tar"))).toBe(false);
  });

  test.skipIf(!canBeNobody)("that its own user may not read", async () => {
    await using box = await made();
    const keys = join(homeOf(box), "keys");
    const key = join(keys, readdirSync(keys).find((name) => /^[0-9a-f]{40}\.key$/.test(name))!);
    outside(["chown", "-R", `${NOBODY}`, box.home.path]);
    chmodSync(key, 0o000);
    const files = Object.keys(filesOf(keys));
    expect(asNobody(box, ...START)).toEqual(refused(`cannot read ${key}: permission denied`, 1));
    expect(asNobody(box, "doctor").stdout).toContain(
      `FAIL  open         cannot read ${key}: permission denied\n`,
    );
    expect(Object.keys(filesOf(keys))).toEqual(files);
    chmodSync(key, 0o600);
    expect(asNobody(box, ...START).status).toBe(0);
    expect(asNobody(box, "stop").status).toBe(0);
  });

  test("without its store is not overwritten", async () => {
    await using box = await made();
    rmSync(join(homeOf(box), "hub.db"));
    const files = filesOf(join(homeOf(box), "keys"));
    const line = `${homeOf(box)}/keys holds a key, but the store ${homeOf(box)}/hub.db is missing; restore hub.db from a copy, or move the home away, then spl restore FILE`;
    for (const args of [["init"], START, ["export", "--offline"]]) {
      expect(await box.spl(args)).toEqual(refused(line, 1));
    }
    writeFileSync(box.file("x.tar"), "");
    expect(await box.spl(["restore", "x.tar"])).toEqual(
      refused(`restoring to ${homeOf(box)}\nrestore refused: ${line}`, 5),
    );
    expect((await box.spl(["doctor"])).stdout).toContain(
      `FAIL  open         ${line.replace("; ", "  → ")}\n`,
    );
    expect(filesOf(join(homeOf(box), "keys"))).toEqual(files);
  });
});

describe("the home", () => {
  test("whose socket path would be too long is refused before anything is made", async () => {
    await using box = new Box();
    const home = box.file("x".repeat(100));
    const env = { SYNCROPEL_HOME: home };
    const socket = `${home}/run/spl.sock`;
    const line = `the socket path ${socket} has ${socket.length} bytes, the system allows 107; set SYNCROPEL_HOME to a shorter path`;
    for (const args of [["init"], START, ["serve", "--port", "0"]]) {
      expect(await runSpl(args, { home: box.home, env })).toEqual(refused(line, 2));
    }
    expect(existsSync(home)).toBe(false);
  });

  test("may have spaces, umlauts and signs in its name", async () => {
    await using box = new Box();
    box.home.env.SYNCROPEL_HOME = box.file("mit Leer é 漢 $(x) 'q'");
    await box.serve();
    await box.ok("intend", "x", "--thread", "th_a");
    expect((await box.json("status")).home).toBe(homeOf(box));
    expect((await box.spl(["export", "--out", "mit Leer.tar"])).stdout).toStartWith(
      "✓ Bundle written to mit Leer.tar\n",
    );
    expect((await box.spl(["import", "mit Leer.tar"])).stdout).toEndWith("✓ Import complete\n");
    expect((await box.spl(["doctor"])).status).toBe(0);
    await box.stop();
    // What it says to type is typed as it stands there.
    const { keys } = homePaths(homeOf(box));
    const key = join(keys, readdirSync(keys).find((name) => /^[0-9a-f]{40}\.key$/.test(name))!);
    for (const path of [homeOf(box), key]) {
      chmodSync(path, 0o755);
      const { stdout } = await box.spl(["doctor"]);
      const line = / {2}→ (chmod [^\n]+)\n/.exec(stdout)![1]!;
      outside(["bash", "-c", line]);
      expect(statSync(path).mode & 0o077).toBe(0);
    }
    expect((await box.spl(["doctor"])).status).toBe(0);
  });

  test("that is a file", async () => {
    await using box = new Box();
    writeFileSync(homeOf(box), "precious");
    const line = `cannot make the folder ${homeOf(box)}: something else has that name`;
    for (const args of [["init"], START]) expect(await box.spl(args)).toEqual(refused(line, 1));
    expect((await box.spl(["status"])).status).toBe(3);
    expect((await box.spl(["export", "--offline", "--out", "x.tar"])).stderr).toStartWith(
      "there is no store at ",
    );
    expect(readFileSync(homeOf(box), "utf8")).toBe("precious");
  });

  test("of a daemon that was killed is no obstacle: neither socket, nor pid, nor lock", async () => {
    await using box = await Box.serving();
    await box.ok("intend", "survive");
    const { pid, instance_did, digest } = await box.json<{
      pid: number;
      instance_did: string;
      digest: string;
    }>("status");
    process.kill(pid, "SIGKILL");
    // The home is free as soon as the kernel has let go of the process.
    while ((await box.spl(["stop", "-o", "json"])).status !== 0);
    expect(readdirSync(join(homeOf(box), "run"))).toEqual(
      expect.arrayContaining(["daemon.json", "spl.sock"]),
    );
    const status = await box.spl(["status"]);
    expect(status.stderr).toMatch(
      /^no instance is running here \(\S+\); start it with spl serve --daemon\n$/,
    );
    expect(status.status).toBe(3);
    // Even when its number is by now that of somebody else.
    const file = join(homeOf(box), "run/daemon.json");
    writeFileSync(file, readFileSync(file, "utf8").replace(`${pid}`, `${process.pid}`));
    expect((await box.spl(["stop"])).stdout).toBe(`no daemon is running for ${homeOf(box)}\n`);
    await box.serve();
    expect(await box.json("status")).toMatchObject({ instance_did, digest });
    expect((await box.spl(START)).status).toBe(5);
    await box.stop();
    // A file in the socket's place, as a copy of a home may hold.
    writeFileSync(join(homeOf(box), "run/spl.sock"), "");
    await box.serve();
  });

  test("that another daemon holds: the second names the first, on the same home under any name", async () => {
    await using box = await Box.serving();
    const { pid, url } = await box.json<{ pid: number; url: string }>("status");
    const before = await snapshot(box);
    const line = (home: string) =>
      `a daemon is running for ${home} already (pid ${pid}, ${url}); spl serve --stop ends it`;
    expect(await box.spl(START)).toEqual(refused(line(homeOf(box)), 5));
    const link = box.file("link");
    outside(["ln", "-s", homeOf(box), link]);
    expect(await runSpl(START, { home: box.home, env: { SYNCROPEL_HOME: link } })).toEqual(
      refused(line(link), 5),
    );
    expect(await snapshot(box)).toEqual(before);
  });
});

test("a port in use makes no new instance", async () => {
  await using holder = await Box.serving();
  const { port } = new URL((await holder.json<{ url: string }>("status")).url);
  await using box = new Box();
  const line = `port ${port} of 127.0.0.1 is in use by another program; choose another with --port`;
  for (const args of [
    ["serve", "--port", port],
    ["start", "--port", port],
  ]) {
    expect(await box.spl(args)).toEqual(refused(line, 1));
    expect(existsSync(join(homeOf(box), "hub.db"))).toBe(false);
    expect(readdirSync(join(homeOf(box), "keys"))).toEqual([]);
  }
  const json = await box.spl(["start", "--port", port, "-o", "json"]);
  expect(json.status).toBe(1);
  expect(JSON.parse(json.stderr)).toMatchObject({ code: "port_in_use", status: 409 });
});

describe("wrong usage", () => {
  let box: Box;
  beforeAll(async () => {
    box = await made();
  });
  afterAll(() => box[Symbol.asyncDispose]());

  const cases: [argv: string, line: string][] = [
    ["frobnicate", "unknown command 'frobnicate'; see 'spl --help'"],
    ["exprot --out x", "unknown command 'exprot'; did you mean 'spl export'?"],
    ["thread lsit", "unknown verb 'lsit' for 'spl thread'; did you mean 'spl thread list'?"],
    [
      "--frobnicate",
      "unknown flag --frobnicate for 'spl'; flags go behind the command, as in 'spl status -o json'",
    ],
    ["status --frobnicate", "unknown flag --frobnicate for 'spl status'; see 'spl status --help'"],
    ["status -x", "unknown flag -x for 'spl status'; see 'spl status --help'"],
    ["status now", "unexpected argument 'now' for 'spl status'; see 'spl status --help'"],
    ["status -o", "-o needs a value; type -o text|json|ndjson"],
    ["status -o yaml", "-o must be one of text, json, ndjson, not 'yaml'; see 'spl status --help'"],
    ["serve --port -1", "--port needs a value; type --port PORT"],
    ["serve --port=-1", "--port -1 is no port; a number from 0 to 65535"],
    [
      "serve --public-url box.example.com --daemon",
      "--public-url is no http or https URL; write it like https://myteam.syncropel.com",
    ],
    [
      "serve --allowed-hosts a.example,b/c --daemon",
      '--allowed-hosts: "b/c" is no host name; write a name without scheme and port, as "box.lan"',
    ],
    ["verify", "FILE is missing; see 'spl verify --help'"],
    ["verify a.tar b.tar", "unexpected argument 'b.tar' for 'spl verify'; see 'spl verify --help'"],
    ["actor register", "ACTOR is missing; see 'spl actor register --help'"],
    ["completion tcsh", "SHELL must be one of bash, zsh, fish, not 'tcsh'; see 'spl completion --help'"],
    ["doctor --rebuild=yes", "--rebuild takes no value; see 'spl doctor --help'"],
  ];
  test.each(cases)("spl %s", async (argv, line) => {
    const files = filesOf(homeOf(box));
    expect(await box.spl(argv.split(" "))).toEqual(refused(line, 2));
    expect(filesOf(homeOf(box))).toEqual(files);
    if (argv.includes(" -o")) return;
    const json = await box.spl([...argv.split(" "), "-o", "json"]);
    expect({ stdout: json.stdout, status: json.status }).toEqual({ stdout: "", status: 2 });
    expect(JSON.parse(json.stderr)).toMatchObject({ code: "usage", detail: line.split("; ")[0] });
    expect(json.stderr.split("\n").length).toBe(2);
  });

  test("a newline or an escape sequence in what was typed is shown, not obeyed", async () => {
    expect(await box.spl(["a\nb\x1b[2J"])).toEqual(
      refused("unknown command 'a\\nb\\x1b[2J'; see 'spl --help'", 2),
    );
    expect(await box.spl(["verify", "no\r\x9bsuch"])).toEqual(
      refused(`cannot read ${box.home.path}/no\\r\\x9bsuch: no such file or directory`, 1),
    );
  });
});

test("nothing in the current folder is obeyed", async () => {
  await using box = new Box();
  const folder = box.file("trap");
  mkdirSync(folder);
  writeFileSync(
    join(folder, ".env"),
    "SYNCROPEL_HOME=/stolen\nSPL_SERVE_URL=http://evil.example\nSPL_DEBUG=1\n",
  );
  writeFileSync(join(folder, "bunfig.toml"), 'preload = ["./evil.ts"]\n[run]\npreload = ["./evil.ts"]\n');
  writeFileSync(join(folder, "evil.ts"), `require("node:fs").writeFileSync("${folder}/ran", "")\n`);
  writeFileSync(join(folder, "tsconfig.json"), '{"extends":"./evil.ts"}');
  writeFileSync(join(folder, "package.json"), '{"name":"evil","bun":{"preload":["./evil.ts"]}}');
  const at = (args: string[]) => runSpl(args, { home: box.home, cwd: folder });
  expect((await at(START)).status).toBe(0);
  const { stdout, stderr } = await at(["status", "-o", "json"]);
  expect(stderr).toBe("");
  expect(JSON.parse(stdout).home).toBe(homeOf(box));
  expect((await at(["export", "--out", "x.tar"])).status).toBe(0);
  // The daemon runs apart from the folder it was started in.
  const moved = box.file("moved");
  renameSync(folder, moved);
  expect((await box.spl(["import", join(moved, "x.tar")])).status).toBe(0);
  expect((await box.spl(["stop"])).status).toBe(0);
  expect(existsSync(join(moved, "ran"))).toBe(false);
});

test("the daemon keeps no file of its caller open and outlives it", async () => {
  await using box = new Box();
  // The pipe ends although the daemon lives: it holds neither its caller's output nor its session.
  const shell = Bun.spawnSync(
    ["bash", "-c", `"$1" start --isolated --port 0 | cat; "$1" status -o json`, "bash", splBinary()],
    {
      env: box.home.env,
    },
  );
  expect(shell.exitCode).toBe(0);
  const { pid } = JSON.parse(shell.stdout.toString().trimEnd().split("\n").at(-1)!) as { pid: number };
  expect(
    outside(["ps", "-o", "sid=", "-p", `${pid}`])
      .toString()
      .trim(),
  ).toBe(`${pid}`);
  expect((await box.spl(["stop"])).stdout).toBe(`✓ stopped (pid ${pid})\n`);
});
