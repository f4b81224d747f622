import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { lstatSync, readdirSync, readFileSync, statSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { Daemon } from "../kit/daemon.ts";
import { type RunOptions, runSpl, ScratchHome, secretOf } from "../kit/spl.ts";
import { LIMIT_MS } from "../kit/spread.ts";

/**
 * Where private keys, tokens and passphrases must not be: command lines, environments, logs, answers, and every file
 * but those made for them. And what is made is its owner's alone, under any umask.
 */

setDefaultTimeout(LIMIT_MS);

const PASSPHRASE = "correct horse battery staple";
const OPEN_UMASK = ["sh", "-c", 'umask 000; exec "$0" "$@"'];

let home: ScratchHome;
let daemon: Daemon;
/** All private keys that were ever in the home: its own, and one that came with a bundle. */
let seeds: Buffer[];
let token: string;

const spl = (args: string[], options: RunOptions = {}) =>
  runSpl(args, { home, under: OPEN_UMASK, ...options });

beforeAll(async () => {
  home = new ScratchHome();
  daemon = await Daemon.start(home, { under: OPEN_UMASK, flags: ["--insecure-localhost"] });
  using source = new ScratchHome();
  {
    await using other = await Daemon.start(source);
    expect((await other.emit(emission("moved"))).status).toBe(201);
    expect(await runSpl(["export", "--out", `${home.path}/in.tar.zst`], { home: source })).toMatchObject({
      status: 0,
    });
  }
  const keys = [home, source].map(({ env }) => join(env.SYNCROPEL_HOME!, "keys", "instance.key"));
  seeds = keys.map((path) => readFileSync(path));
  expect((await daemon.emit(emission("kept"))).status).toBe(201);
  const minted = await daemon.fetch("/v1/tokens", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ account: "ci", scopes: ["admin"] }),
  });
  ({ token } = (await minted.json()) as { token: string });
  expect(token).toStartWith("spl_");
  expect(await spl(["import", "--force-overwrite", `${home.path}/in.tar.zst`])).toMatchObject({ status: 0 });
});

afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
  home[Symbol.dispose]();
});

function emission(text: string): object {
  return { thread: "th_a", actor: "did:sync:user:alice", act: "DO", body: { text } };
}

/** Whatever would give a secret away, in the forms that a program might write it in. */
function forbidden(): [name: string, form: Buffer][] {
  const text = (value: string) => Buffer.from(value, "latin1");
  return [
    ...seeds.flatMap((seed, n): [string, Buffer][] => [
      [`key ${n}`, seed],
      [`key ${n} in hexadecimal`, text(seed.toString("hex"))],
      [`key ${n} in base64`, text(seed.toString("base64").replace("=", ""))],
      [`key ${n} in base64url`, text(seed.toString("base64url"))],
    ]),
    ["token", text(token)],
    ["the token's secret", text(secretOf(token))],
    ["passphrase", text(PASSPHRASE)],
  ];
}

function expectNoSecret(where: string, content: Buffer | string): void {
  const bytes = Buffer.from(content);
  const found = forbidden().filter(([, form]) => bytes.includes(form));
  expect([where, found.map(([name]) => name)]).toEqual([where, []]);
}

/** Paths of all that is below `folder`, links and sockets included. */
function everything(folder: string): string[] {
  return readdirSync(folder, { recursive: true }).map((name) => join(folder, String(name)));
}

test("no file of the home but the keys holds a secret", () => {
  const root = home.env.SYNCROPEL_HOME!;
  const files = everything(root).filter((path) => lstatSync(path).isFile());
  const [keys, others] = [true, false].map((wanted) =>
    files.filter((path) => path.startsWith(join(root, "keys")) === wanted),
  );
  expect(keys!.map((path) => readFileSync(path).toString("hex")).sort()).toEqual(
    seeds.map((seed) => seed.toString("hex")).sort(),
  );
  expect(others!.map((path) => path.slice(root.length + 1))).toContain("hub.db");
  for (const path of others!) expectNoSecret(path, readFileSync(path));
});

test("a bundle holds the key only where it says so, and no token; encrypted, it shows nothing", async () => {
  const out = (name: string) => `${home.path}/${name}`;
  expect(await spl(["export", "--no-identity", "--out", out("bare.tar")])).toMatchObject({ status: 0 });
  expectNoSecret("bare.tar", readFileSync(out("bare.tar")));
  const env = { SPL_PASSPHRASE: PASSPHRASE };
  expect(await spl(["export", "--passphrase", "--out", out("locked.tar.age")], { env })).toMatchObject({
    status: 0,
  });
  expectNoSecret("locked.tar.age", readFileSync(out("locked.tar.age")));
  expect(await spl(["export", "--carry-tokens", "--out", out("full.tar")])).toMatchObject({ status: 0 });
  const full = readFileSync(out("full.tar"));
  expect(full.includes(seeds[1]!)).toBe(true);
  expect(full.includes(token)).toBe(false);
});

test("neither what is wrong with a request nor the log repeats a token", async () => {
  const base = `http://127.0.0.1:${daemon.port}`;
  const headers = { authorization: `Bearer ${token}x`, "content-type": "application/json" };
  for (const [path, init] of [
    [`/v1/status?token=${token}`, {}],
    [`/v1/threads/${token}`, { headers }],
    [`/v1/records/${token}`, { headers }],
    ["/v1/records", { method: "POST", headers, body: `{"token":"${token}"}` }],
    ["/v1/records", { method: "POST", headers, body: token }],
    ["/v1/export", { method: "DELETE", headers }],
  ] as [string, RequestInit][]) {
    const response = await fetch(base + path, init);
    expect(response.status).toBeGreaterThanOrEqual(400);
    await response.body?.cancel();
  }
  expectNoSecret("the log", readFileSync(daemon.paths.log));
  const secret = secretOf(token);
  for (const url of [base, "http://127.0.0.1:1"]) {
    const env = { SPL_TOKEN: `${token}x`, SPL_DEBUG: "1", HOME: "/nonexistent" };
    const { stdout, stderr } = await spl(["status", "--url", url], { env });
    expect(stdout + stderr).not.toContain(secret);
  }
});

test("a daemon keeps no secret of the shell that it was started from", async () => {
  using own = new ScratchHome();
  const env = { SPL_TOKEN: token, SPL_PASSPHRASE: PASSPHRASE };
  const started = await runSpl(["serve", "--daemon", "--isolated", "--port", "0", "-o", "json"], {
    home: own,
    env,
  });
  expect(started).toMatchObject({ status: 0 });
  const { pid } = JSON.parse(started.stdout) as { pid: number };
  try {
    for (const file of ["cmdline", "environ"]) expectNoSecret(file, readFileSync(`/proc/${pid}/${file}`));
  } finally {
    expect(await runSpl(["serve", "--stop"], { home: own })).toMatchObject({ status: 0 });
  }
});

test("under a umask of 000 all that is made is its owner's alone", async () => {
  // As long as an upload is on its way, its spool lies there too.
  using upload = held();
  await upload.spooled;
  expect(await spl(["config", "set", "default_url", "http://127.0.0.1:9"])).toMatchObject({ status: 0 });
  expect(
    await spl(["export", "--url", `http://127.0.0.1:${daemon.port}`, "--out", `${home.path}/out.tar`]),
  ).toMatchObject({
    status: 0,
  });
  const made = [home.env.SYNCROPEL_HOME!, home.env.XDG_CONFIG_HOME!].flatMap((folder) => [
    folder,
    ...everything(folder),
  ]);
  expect(made.some((path) => path.endsWith(".spool"))).toBe(true);
  const open = [...made, `${home.path}/out.tar`].filter((path) => {
    const stats = lstatSync(path);
    return !stats.isSymbolicLink() && (statSync(path).mode & 0o077) !== 0;
  });
  expect(open).toEqual([]);
});

/** An import that stands still in the middle of the file. */
function held(): Disposable & { spooled: Promise<void> } {
  const socket = connect({ path: daemon.paths.socket });
  socket.on("error", () => undefined);
  return {
    spooled: new Promise((resolve) => {
      socket.write(
        "POST /v1/import?dry_run=true HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/octet-stream\r\ncontent-length: 9999\r\n\r\n",
        async () => {
          while (!readdirSync(daemon.paths.run).some((name) => name.endsWith(".spool"))) {
            await daemon.fetch("/health");
          }
          resolve();
        },
      );
    }),
    [Symbol.dispose]: () => void socket.destroy(),
  };
}
