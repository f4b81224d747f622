import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Token } from "../../lib/api/wire.ts";
import { homePaths } from "../../lib/base/home.ts";
import { Box } from "../kit/box.ts";
import { Daemon, spawnDaemon, statusOf } from "../kit/daemon.ts";
import { BOOTSTRAP, boxAt } from "../kit/hosted.ts";
import { ScratchHome } from "../kit/spl.ts";

setDefaultTimeout(30_000);

/** `SPL_BOOTSTRAP_TOKEN`: the token that a hoster chooses for an instance, and what is left of it. */

const HASH = new Bun.CryptoHasher("sha256").update(BOOTSTRAP).digest("hex");
const SECRET = BOOTSTRAP.slice(-20);

/** What anyone of the same user may read of a process while it runs, and what it has written down. */
function expectNoTrace(pid: number, home: ScratchHome): void {
  const { log } = homePaths(home.env.SYNCROPEL_HOME!);
  const environment = readFileSync(`/proc/${pid}/environ`, "latin1");
  expect(environment).toContain(`SYNCROPEL_HOME=${home.env.SYNCROPEL_HOME}`);
  expect(environment).not.toContain("SPL_BOOTSTRAP_TOKEN");
  for (const text of [environment, readFileSync(`/proc/${pid}/cmdline`, "latin1"), readFileSync(log, "utf8")])
    expect(text).not.toContain(SECRET);
}

async function bootstrapToken(box: Box): Promise<Token> {
  const tokens = await box.json<Token[]>("token", "list");
  expect(tokens.filter(({ kind }) => kind === "bootstrap")).toHaveLength(1);
  return tokens.find(({ kind }) => kind === "bootstrap")!;
}

/** A machine that serves with this in its environment. */
async function seeded(value: string): Promise<Box> {
  const box = new Box();
  box.home.env.SPL_BOOTSTRAP_TOKEN = value;
  await box.serve();
  return box;
}

test("in the foreground: the same process, without the token", async () => {
  using home = new ScratchHome();
  await using daemon = await Daemon.start(home, {
    env: { SPL_BOOTSTRAP_TOKEN: BOOTSTRAP, SPL_TOKEN: SECRET },
  });
  expect(daemon.pid).toBe(daemon.process.pid);
  expectNoTrace(daemon.pid, home);
  await using me = boxAt(`http://127.0.0.1:${daemon.port}`);
  await me.ok("token", "save", BOOTSTRAP);
  expectNoTrace(daemon.pid, home);
  expect(await daemon.end("SIGTERM")).toBe(0);
  expect(await daemon.process.stderr.text()).toBe("");
});

test("run from its source it leaves the token behind as well", async () => {
  using home = new ScratchHome();
  const child = Bun.spawn(
    [
      process.execPath,
      join(import.meta.dir, "../../commands/serve.ts"),
      "--isolated",
      "--port",
      "0",
      "-o",
      "json",
    ],
    {
      cwd: home.path,
      env: { ...home.env, SPL_BOOTSTRAP_TOKEN: BOOTSTRAP },
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  try {
    const { value } = await child.stdout.getReader().read();
    expect(JSON.parse(new TextDecoder().decode(value))).toMatchObject({ pid: child.pid });
    expectNoTrace(child.pid, home);
  } finally {
    child.kill();
    expect(await child.exited).toBe(0);
  }
});

test("in the background, by the token or by its SHA-256, also in capitals", async () => {
  for (const value of [BOOTSTRAP, HASH, HASH.toUpperCase()]) {
    await using box = await seeded(value);
    const { pid, url } = await box.json<{ pid: number; url: string }>("status");
    expectNoTrace(pid, box.home);
    await using me = boxAt(url);
    await me.ok("token", "save", BOOTSTRAP);
    expect(await me.json<Token>("token", "info")).toMatchObject({ scopes: ["admin"], kind: "bearer" });
  }
});

test("it works once, and within an hour of the first start: another start opens nothing", async () => {
  await using box = await seeded(BOOTSTRAP);
  const first = await bootstrapToken(box);
  expect(Date.parse(first.expires_at!) - Date.parse(first.created_at)).toBe(60 * 60 * 1000);
  await box.stop();
  await box.serve();
  expect(await bootstrapToken(box)).toEqual(first);
  const { url } = await box.json<{ url: string }>("status");
  await using me = boxAt(url);
  await me.ok("token", "save", BOOTSTRAP);
  await box.stop();
  await box.serve();
  expect(await bootstrapToken(box)).toMatchObject({ id: first.id, state: "spent" });
});

test("an instance that was given one is never bootstrapped without it", async () => {
  await using box = await seeded(HASH);
  expect(await box.spl(["service-account", "create", "--bootstrap", "--with-token"])).toEqual({
    stdout: "",
    stderr:
      "this instance has been bootstrapped already; spl service-account create --name NAME --scopes admin --with-token makes another account\n",
    status: 1,
  });
});

test("a value that is none is refused, not repeated, and nothing is made", async () => {
  const values = [
    "hunter2hunter2",
    "spl_",
    "spl_two words",
    "spl_line\nend",
    `${HASH}0`,
    `0x${HASH.slice(2)}`,
    "spl_ü",
  ];
  for (const value of values) {
    for (const flags of [[], ["--daemon"], ["--output", "json"]]) {
      await using box = new Box();
      box.home.env.SPL_BOOTSTRAP_TOKEN = value;
      box.home.env.SPL_DEBUG = "1";
      const { stdout, stderr, status } = await box.spl(["serve", "--port", "0", ...flags]);
      expect({ value, stdout, status }).toEqual({ value, stdout: "", status: 2 });
      expect(stderr).toContain("SPL_BOOTSTRAP_TOKEN is neither a token nor the SHA-256 of one");
      if (value !== "spl_") expect(stderr).not.toContain(value);
      expect(existsSync(box.home.env.SYNCROPEL_HOME!)).toBe(false);
    }
  }
  await using box = await seeded("");
  expect(await box.json<Token[]>("token", "list")).toEqual([]);
});

test("a port in use makes no new instance", async () => {
  using first = new ScratchHome();
  await using daemon = await Daemon.start(first);
  using home = new ScratchHome();
  const env = { SPL_BOOTSTRAP_TOKEN: BOOTSTRAP };
  const failed = spawnDaemon(home, { env, port: daemon.port });
  const stderr = await failed.stderr.text();
  await failed.exited;
  expect(statusOf(failed)).toBe(1);
  expect(JSON.parse(stderr)).toMatchObject({ code: "port_in_use" });
  expect(existsSync(homePaths(home.env.SYNCROPEL_HOME!).db)).toBe(false);
});
