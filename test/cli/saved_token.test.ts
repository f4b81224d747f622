import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { COMMANDS, everyCommand } from "../../commands/_table.ts";
import type { MintedToken } from "../../lib/api/wire.ts";
import { credentialsPath } from "../../lib/client/credentials.ts";
import type { Box } from "../kit/box.ts";
import { boxAt, Hosted } from "../kit/hosted.ts";
import type { RunResult } from "../kit/spl.ts";

setDefaultTimeout(60_000);

/** A saved token goes to its address and is seen nowhere else: in no output, argument, log or file. */

/** What the commands of the table are typed with; those that are not here go without arguments. */
const ARGUMENTS: Record<string, string[]> = {
  serve: ["--daemon", "--isolated", "--port", "0"],
  start: ["--isolated", "--port", "0"],
  intend: ["keep a secret", "--thread", "th_a"],
  do: ["so", "--thread", "th_a"],
  know: ["so", "--thread", "th_a"],
  learn: ["so", "--thread", "th_a"],
  "thread show": ["th_a"],
  "thread records": ["th_a"],
  "record show": ["0".repeat(64)],
  "actor register": ["did:sync:user:x"],
  export: ["--force", "--out", "a.tar"],
  import: ["a.tar"],
  verify: ["a.tar"],
  diff: ["a.tar", "b.tar"],
  "bundle show": ["a.tar"],
  "bundle ls": ["a.tar"],
  "config set": ["default_url", "--unset"],
  completion: ["bash"],
  pair: ["--device", "iPhone"],
  "device revoke": ["iPhone"],
  "token create": ["ci", "--scopes", "records:read"],
  "token info": [],
  "token revoke": ["tok_000000000000"],
  "service-account create": ["--bootstrap", "--with-token"],
  "service-account describe": ["marked"],
  "service-account revoke": ["ci"],
};
/** They replace or remove the token on purpose. */
const LAST = ["token rotate", "token forget"];

let hosted: Hosted;
let box: Box;
let token: string;
let secret: string;

beforeAll(async () => {
  hosted = await Hosted.start();
  box = boxAt(hosted.url);
  const minted = await hosted.daemon.post("/v1/tokens", { account: "marked", scopes: ["admin"] });
  ({ token } = (await minted.json()) as MintedToken);
  secret = token.slice(-43);
  expect(await box.spl(["token", "save", "-"], token)).toMatchObject({ status: 0 });
});
afterAll(async () => {
  await box.spl(["stop"]);
  await Promise.all([box[Symbol.asyncDispose](), hosted[Symbol.asyncDispose]()]);
});

function expectUntold(args: readonly string[], { stdout, stderr }: RunResult): void {
  const told = [stdout, stderr].some((text) => text.includes(secret));
  expect({ args, told }).toEqual({ args, told: false });
}

/** Names of processes that have the secret among their arguments, looked at again and again until `done`. */
async function watchArguments(done: Promise<unknown>): Promise<string[]> {
  const seen = new Set<string>();
  let running = true;
  void done.finally(() => {
    running = false;
  });
  while (running) {
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, "latin1");
        if (line.includes(secret)) seen.add(line);
      } catch {
        // It has ended meanwhile.
      }
    }
    await new Promise(setImmediate);
  }
  return [...seen];
}

function filesWithSecret(folder: string): string[] {
  return readdirSync(folder, { recursive: true })
    .map((name) => join(folder, String(name)))
    .filter(
      (path) => statSync(path, { throwIfNoEntry: false })?.isFile() && readFileSync(path).includes(secret),
    );
}

test("no command tells it, in any form of output, nor hands it to a child", async () => {
  const commands = [...everyCommand(COMMANDS)].map(({ words }) => words.join(" "));
  for (const name of [...Object.keys(ARGUMENTS), ...LAST]) expect(commands).toContain(name);
  const all = (async () => {
    for (const name of commands.filter((each) => !LAST.includes(each))) {
      for (const output of ["text", "json", "ndjson"]) {
        const args = [...name.split(" "), ...(ARGUMENTS[name] ?? []), "-o", output];
        expectUntold(args, await box.spl(args, ""));
      }
    }
  })();
  expect(await watchArguments(all)).toEqual([]);
  await all;
  expect(await box.json("token", "show-source")).toMatchObject({ token: "spl_live_marked_…" });
  expect(filesWithSecret(box.home.path)).toEqual([credentialsPath(box.home.env)]);
  expect(filesWithSecret(hosted.home.path)).toEqual([]);
});

test("nor does what goes wrong, with all that there is for debugging", async () => {
  const stranger = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: ({ url }) =>
      url.includes("/redirect/")
        ? Response.redirect(`${hosted.url}/v1/status`, 307)
        : new Response("?", { status: 500 }),
  });
  const { origin } = stranger.url;
  try {
    const addresses = [
      "http://127.0.0.1:1",
      origin,
      `${origin}/redirect`,
      hosted.url.replace("http:", "https:"),
    ];
    for (const url of [...addresses, "http://192.0.2.1", "ftp://x"]) {
      for (const args of [
        ["status"],
        ["export", "--out", "-"],
        ["import", "a.tar"],
        ["emit"],
        ["token", "info"],
      ]) {
        for (const SPL_TOKEN of [token, `${token}\n`, `"${token}"`, token.repeat(20)]) {
          Object.assign(box.home.env, { SPL_TOKEN, SPL_DEBUG: "1" });
          const result = await box.spl([...args, "--url", url], "");
          expect(result.status).toBeGreaterThan(1);
          expectUntold([...args, url], result);
        }
      }
    }
    for (const bad of [`${token}\n${token}`, `"${token}"`, `${token}é`]) {
      expectUntold(["token", "save"], await box.spl(["token", "save", "-"], bad));
    }
  } finally {
    delete box.home.env.SPL_TOKEN;
    delete box.home.env.SPL_DEBUG;
    await stranger.stop(true);
  }
});

test("it is sent to its own address only, and not through a redirect", async () => {
  const heard: { url: string; authorization: string | null }[] = [];
  const listen = (answer: () => Response) =>
    Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch(request) {
        heard.push({ url: request.url, authorization: request.headers.get("authorization") });
        return answer();
      },
    });
  const thief = listen(() => new Response(null, { status: 404 }));
  const own = listen(() => Response.redirect(`${thief.url.origin}/v1/status`, 307));
  try {
    const { port } = own;
    await using other = boxAt(`http://127.0.0.1:${port}/i/box`);
    // As it would be there after signing in at that address.
    other.home.env.SPL_SERVE_URL = hosted.url;
    await other.spl(["token", "save", "-"], token);
    const path = credentialsPath(other.home.env);
    const saved = readFileSync(path, "utf8").replace(hosted.url, `http://127.0.0.1:${port}/i/box`);
    await Bun.write(path, saved);
    const at = (url: string) => other.spl(["status", "--url", url]);
    expect((await at(`http://127.0.0.1:${port}/i/box/`)).status).toBe(3);
    expect(heard).toEqual([
      { url: `http://127.0.0.1:${port}/i/box/v1/status`, authorization: `Bearer ${token}` },
    ]);
    heard.length = 0;
    for (const place of ["", "/i", "/i/box2", "/i/box/deeper"]) await at(`http://127.0.0.1:${port}${place}`);
    await at(`http://localhost:${port}/i/box`);
    await at(`${thief.url.origin}/i/box`);
    expect(heard).toHaveLength(6);
    expect(heard.filter(({ authorization }) => authorization !== null)).toEqual([]);
  } finally {
    await Promise.all([own.stop(true), thief.stop(true)]);
  }
});

test("a new one that takes its place is not told either", async () => {
  for (const name of LAST) {
    for (const output of ["text", "json"]) {
      const { stdout, stderr } = await box.spl([...name.split(" "), "-o", output]);
      const { [hosted.url]: entry } = JSON.parse(readFileSync(credentialsPath(box.home.env), "utf8"));
      if (entry !== undefined) expect(stdout + stderr).not.toContain(entry.token.slice(-43));
      expect(stdout + stderr).not.toMatch(/spl_live_marked_[A-Za-z0-9_-]{43}/);
    }
  }
});
