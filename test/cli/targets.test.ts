import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { VERSION_HEADER } from "../../lib/api/media.ts";
import { Box } from "../kit/box.ts";
import { asNobody, canBeNobody } from "../kit/nobody.ts";
import { outside } from "../kit/outside.ts";
import { type RunResult, runSpl } from "../kit/spl.ts";

setDefaultTimeout(30_000);

/** Which instance a command talks to, with which token, and what it makes of whoever answers there. */

interface Status {
  url: string;
  instance_did: string;
  home: string;
}

/** A server that is no instance of spl: what it answers at the first part of a path. */
const ANSWERS: Record<string, (origin: string) => Response> = {
  redirect: (origin) => new Response(null, { status: 302, headers: { location: `${origin}/stolen` } }),
  login: () => new Response("<h1>Log in</h1>", { headers: { "content-type": "text/html" } }),
  empty: () => Response.json({}),
  list: () => Response.json([]),
  cut: () =>
    new Response('{"status":"o', {
      headers: { "content-type": "application/json", [VERSION_HEADER]: "0.33.0" },
    }),
  broken: () => new Response("\x1b[2J", { status: 500 }),
  rude: () =>
    new Response(JSON.stringify({ code: "made_up", detail: "gone \x1b[2J\nsecond line", hint: "h\x9bm" }), {
      status: 418,
      headers: { "content-type": "application/problem+json" },
    }),
};

let box: Box;
let other: Box;
let local: Status;
let far: Status;
let stranger: Bun.Server<undefined>;
const seen: { path: string; authorization: string | null }[] = [];

beforeAll(async () => {
  box = await Box.serving();
  other = await Box.serving();
  local = await box.json<Status>("status");
  far = await other.json<Status>("status");
  await box.ok("intend", "x", "--thread", "th_a");
  await box.ok("export", "--out", "a.tar");
  writeFileSync(box.file("a.ndjson"), '{"thread":"th_a","act":"KNOW","body":{}}\n');
  stranger = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      const { pathname, origin } = new URL(request.url);
      seen.push({ path: pathname, authorization: request.headers.get("authorization") });
      return ANSWERS[pathname.split("/")[1]!]?.(origin) ?? new Response("nothing here", { status: 404 });
    },
  });
});
afterAll(async () => {
  await stranger.stop(true);
  await Promise.all([box[Symbol.asyncDispose](), other[Symbol.asyncDispose]()]);
});

const run = (args: string[], env: Record<string, string> = {}) => runSpl(args, { home: box.home, env });
const refused = (line: string, status: number): RunResult => ({ stdout: "", stderr: `${line}\n`, status });

async function mint(scopes: string[]): Promise<string> {
  const response = await fetch("http://localhost/v1/tokens", {
    unix: join(far.home, "run/spl.sock"),
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ account: scopes.join("-").replaceAll(":", "-"), scopes }),
  });
  return ((await response.json()) as { token: string }).token;
}

describe("the target", () => {
  const didAt = async (args: string[], env: Record<string, string> = {}) =>
    JSON.parse((await run(["status", "-o", "json", ...args], env)).stdout).instance_did;

  test("is --url, else SPL_SERVE_URL, else default_url, else the local daemon", async () => {
    const SPL_TOKEN = await mint(["records:read"]);
    const nowhere = "http://127.0.0.1:1";
    expect(await didAt([])).toBe(local.instance_did);
    expect(await didAt([], { SPL_SERVE_URL: "" })).toBe(local.instance_did);
    expect(await didAt([], { SPL_SERVE_URL: far.url, SPL_TOKEN })).toBe(far.instance_did);
    expect(await didAt(["--url", far.url], { SPL_SERVE_URL: nowhere, SPL_TOKEN })).toBe(far.instance_did);
    await run(["config", "set", "default_url", nowhere]);
    expect(await run(["status"])).toEqual(
      refused(
        `cannot reach ${nowhere}: connection refused; check that it runs and that default_url names the right address`,
        3,
      ),
    );
    expect(await didAt([], { SPL_SERVE_URL: local.url })).toBe(local.instance_did);
    await run(["config", "set", "default_url", far.url]);
    // Whoever set SPL_TOKEN for one shell did not mean every target that a file may name.
    expect((await run(["status"], { SPL_TOKEN })).status).toBe(4);
    await run(["config", "set", "default_url", "--unset"]);
  });

  test("that is this home's own daemon is reached by its socket, under any of its names", async () => {
    const { port } = new URL(local.url);
    for (const url of [
      `http://localhost:${port}`,
      `http://localhost:${port}/`,
      `https://127.0.0.1:${port}`,
    ]) {
      expect(await didAt([], { SPL_SERVE_URL: url })).toBe(local.instance_did);
    }
    const exported = await run(["export", "--no-identity", "--out", "own.tar"], { SPL_SERVE_URL: local.url });
    expect(exported.stderr).toBe(`exporting from ${local.home}/run/spl.sock (SPL_SERVE_URL)\n`);
  });

  test("must be an http or https URL", async () => {
    const wrong = [
      "localhost:9100",
      "ftp://x",
      "file:///etc/passwd",
      "unix:/x",
      "http://a b",
      "http://u:p@x",
      "http://x/?q",
    ];
    for (const url of wrong) {
      for (const [args, env, name] of [
        [["status", "--url", url], {}, "--url"],
        [["status"], { SPL_SERVE_URL: url }, "SPL_SERVE_URL"],
      ] as const) {
        const { stdout, stderr, status } = await run([...args], env);
        expect({ stdout, status }).toEqual({ stdout: "", status: 2 });
        expect(stderr).toMatch(
          new RegExp(
            `^${name} (is no http or https URL|must not [a-z ]+); write it like https://myteam\\.syncropel\\.com\n$`,
          ),
        );
      }
    }
    expect(await run(["status", "--url"])).toEqual(refused("--url needs a value; type --url URL", 2));
  });

  test("that does not answer is status 3 for every command", async () => {
    const url = "http://127.0.0.1:1";
    const line = `cannot reach ${url}: connection refused; check that it runs and that --url names the right address`;
    for (const args of [
      ["status"],
      ["thread", "list"],
      ["thread", "records", "th_a"],
      ["intend", "x"],
      ["emit"],
      ["actor", "list"],
    ]) {
      expect(await run([...args, "--url", url])).toEqual(refused(line, 3));
    }
    expect(await run(["export", "--url", url])).toEqual(refused(`exporting from ${url} (--url)\n${line}`, 3));
    expect(await run(["import", "a.tar", "--url", url])).toEqual(
      refused(`importing into ${url} (--url)\n${line}`, 3),
    );
    expect((await run(["status", "--url", "https://127.0.0.1:1"])).status).toBe(3);
    const unknown = await run(["status", "--url", "https://nowhere.invalid"]);
    expect(unknown.status).toBe(3);
    expect(unknown.stderr).toStartWith("cannot reach https://nowhere.invalid: ");
  });

  test("with a certificate that nobody vouches for is not trusted", async () => {
    const [key, cert] = [box.file("tls.key"), box.file("tls.crt")];
    const made = Bun.spawnSync([
      "openssl",
      "req",
      "-x509",
      "-newkey",
      "ed25519",
      "-nodes",
      "-keyout",
      key,
      "-out",
      cert,
      "-days",
      "2",
      "-subj",
      "/CN=localhost",
    ]);
    expect(made.exitCode).toBe(0);
    let asked = 0;
    const server = Bun.serve({
      port: 0,
      tls: { key: await Bun.file(key).text(), cert: await Bun.file(cert).text() },
      fetch() {
        asked++;
        return Response.json({});
      },
    });
    const { stderr, status } = await run(["status", "--url", `https://localhost:${server.port}`], {
      SPL_TOKEN: "secret",
    });
    await server.stop(true);
    expect(status).toBe(3);
    expect(stderr).toMatch(
      /^cannot reach https:\/\/localhost:\d+: its certificate is signed by no authority that this machine trusts; /,
    );
    expect(asked).toBe(0);
  });
});

describe("the token", () => {
  test("is asked for over TCP, and decides what is allowed", async () => {
    expect(await run(["status", "--url", far.url])).toEqual(
      refused(
        "this instance asks for a token; spl token save TOKEN keeps one for this address; SPL_TOKEN names one for a single command",
        4,
      ),
    );
    const wrong = { SPL_TOKEN: `spl_live_x_${"A".repeat(43)}` };
    expect(await run(["status", "--url", far.url], wrong)).toEqual(
      refused(
        "the token is unknown here; spl token show-source says which token was sent; ask the instance's operator for another",
        4,
      ),
    );
    const SPL_TOKEN = await mint(["records:read", "threads:write"]);
    const env = { SPL_SERVE_URL: far.url, SPL_TOKEN };
    expect((await run(["thread", "list"], env)).status).toBe(0);
    expect((await run(["export", "--no-identity", "--out", "far.tar"], env)).status).toBe(0);
    const lacking = (scope: string) =>
      `this token does not have the scope ${scope}; use a token with the scope ${scope === "admin" ? scope : `${scope} or admin`}`;
    expect(await run(["intend", "x"], env)).toEqual(refused(lacking("records:write"), 4));
    expect(await run(["export", "--out", "key.tar"], env)).toEqual(
      refused(`exporting from ${far.url} (SPL_SERVE_URL)\n${lacking("admin")}`, 4),
    );
    expect(existsSync(box.file("key.tar"))).toBe(false);
    expect(await run(["import", "a.tar"], env)).toEqual(
      refused(`importing into ${far.url} (SPL_SERVE_URL)\n${lacking("admin")}`, 4),
    );
    const admin = { ...env, SPL_TOKEN: await mint(["admin"]) };
    expect((await run(["export", "--out", "key.tar"], admin)).status).toBe(0);
  });

  test("of SPL_TOKEN goes to one of two instances at most: the one that SPL_SERVE_URL names", async () => {
    const SPL_TOKEN = await mint(["admin"]);
    const snoop = `${stranger.url.origin}/snoop`;
    const asks = (url: string) =>
      refused(
        `${url}: this instance asks for a token; spl token save TOKEN --url ${url} keeps one for it; of two instances SPL_TOKEN goes to the one that SPL_SERVE_URL names`,
        4,
      );
    for (const sides of [
      [far.url, snoop],
      [snoop, far.url],
    ]) {
      seen.length = 0;
      expect(await run(["diff", ...sides], { SPL_TOKEN })).toMatchObject({ stdout: "" });
      expect((await run(["diff", ...sides], { SPL_TOKEN, SPL_SERVE_URL: `${far.url}/` })).status).toBe(3);
      expect(new Set(seen.map(({ authorization }) => authorization))).toEqual(new Set([null]));
    }
    seen.length = 0;
    await run(["diff", snoop, far.url], { SPL_TOKEN, SPL_SERVE_URL: snoop });
    expect(new Set(seen.map(({ authorization }) => authorization))).toEqual(new Set([`Bearer ${SPL_TOKEN}`]));
    expect(await run(["diff", local.url, far.url], { SPL_TOKEN })).toEqual(asks(far.url));
    const equal = await run(["diff", far.url, far.url], { SPL_TOKEN });
    expect(equal).toMatchObject({ stderr: "", status: 0 });
    const differ = await run(["diff", local.url, far.url], { SPL_TOKEN, SPL_SERVE_URL: far.url });
    expect(differ).toMatchObject({ stderr: expect.stringMatching(/^the two differ/), status: 1 });
    const wrong = { SPL_TOKEN: `spl_live_x_${"A".repeat(43)}`, SPL_SERVE_URL: far.url };
    expect((await run(["diff", local.url, far.url], wrong)).stderr).toStartWith(
      `${far.url}: the token is unknown here; `,
    );
  });

  test("that no header can carry is told, but not shown", async () => {
    for (const SPL_TOKEN of ["se\ncret", "secret\r", '"secret"', "geheimnis-é", "a b"]) {
      expect(await run(["status", "--url", far.url], { SPL_TOKEN })).toEqual(
        refused(
          "the token holds characters that no token has; copy it again, without line ends and quotes",
          2,
        ),
      );
    }
  });

  test("that was saved is sent to the very URL it was saved for", async () => {
    const folder = join(box.home.env.XDG_CONFIG_HOME!, "syncropel");
    const file = join(folder, "credentials.json");
    mkdirSync(folder, { recursive: true });
    const token = await mint(["records:read"]);
    const saved = { [far.url]: { token }, "http://127.0.0.1:1": { token: "no" } };
    writeFileSync(file, JSON.stringify(saved), { mode: 0o600 });
    expect((await run(["status", "--url", far.url])).status).toBe(0);
    expect((await run(["status"], { SPL_SERVE_URL: `${far.url}/` })).status).toBe(0);
    expect((await run(["status", "--url", far.url.replace("127.0.0.1", "localhost")])).status).toBe(4);
    seen.length = 0;
    await run(["status", "--url", `${stranger.url.origin}/other`]);
    expect(seen).toEqual([{ path: "/other/v1/status", authorization: null }]);
    chmodSync(file, 0o644);
    expect(await run(["status", "--url", far.url])).toEqual(
      refused(`${file} can be read by others; chmod 600 ${file}`, 1),
    );
    writeFileSync(file, "[]");
    chmodSync(file, 0o600);
    expect((await run(["status", "--url", far.url])).stderr).toBe(
      `${file} is not a JSON object of base URLs and tokens; move it away and save your tokens again\n`,
    );
    expect((await run(["status"])).status).toBe(0);
    outside(["rm", file]);
  });

  test("never goes over plain http to another machine, nor does a bundle", async () => {
    // An address for documentation (RFC 5737): nobody could answer, and nobody is asked.
    const url = "http://192.0.2.1";
    const clear = (what: string) =>
      refused(
        `${url} is plain http: ${what} would be readable on the way; use https, or a tunnel to a loopback address`,
        5,
      );
    expect(await run(["status", "--url", url], { SPL_TOKEN: "secret" })).toEqual(clear("a token"));
    expect(await run(["export", "--url", url])).toEqual(clear("a bundle"));
    expect(await run(["import", "a.tar", "--url", url])).toEqual(clear("a bundle"));
    expect(await run(["diff", "a.tar", url])).toEqual(clear("a bundle"));
    expect((await run(["status", "--url", "http://localhost.example.com"], { SPL_TOKEN: "s" })).status).toBe(
      5,
    );
  });
});

describe("who answers but is no instance", () => {
  const COMMANDS = [
    ["status"],
    ["thread", "list"],
    ["thread", "records", "th_a"],
    ["identity", "show"],
    ["emit"],
    ["export"],
    ["import", "a.tar"],
  ];
  const cases: [place: string, line: RegExp, status: number][] = [
    ["redirect", /^\S+ answers with a redirect, which is not followed; name the address it redirects to$/, 3],
    [
      "login",
      /^\S+ answers with status 200 and text\/html, not as an instance of spl would; check the address$/,
      3,
    ],
    [
      "broken",
      /^\S+ answers with status 500 and [a-z/]+( media type)?, not as an instance of spl would; check the address$/,
      3,
    ],
    [
      "nothing",
      /^\S+ answers with status 404 and [a-z/]+( media type)?, not as an instance of spl would; check the address$/,
      3,
    ],
    ["rude", /^gone \\x1b\[2J\\nsecond line; h\\x9bm$/, 1],
  ];
  test.each(cases)("%s", async (place, line, status) => {
    const url = `${stranger.url.origin}/${place}`;
    seen.length = 0;
    for (const args of COMMANDS) {
      const result = await run([...args, "--url", url], { SPL_TOKEN: "secret" });
      const told = result.stderr.trimEnd().split("\n").at(-1)!;
      expect([args, told, result.status]).toEqual([args, expect.stringMatching(line), status]);
      expect(result.stdout).toBe("");
    }
    expect(seen.map(({ path }) => path.split("/")[1])).toEqual(COMMANDS.map(() => place));
  });

  test.each(["empty", "list"])("%s: JSON that anybody may have written", async (place) => {
    const url = `${stranger.url.origin}/${place}`;
    for (const args of [
      ...COMMANDS.filter(([name]) => !["emit", "export", "import"].includes(name!)),
      ["emit", "a.ndjson"],
      ["trust"],
      ["consent", "list"],
      ["namespace", "list"],
      ["federation", "list"],
      ["federation", "show", "abc"],
      ["federation", "pair", "https://peer.example"],
      ["actor", "list"],
      ["actor", "show", "did:sync:user:bob"],
      ["token", "list"],
      ["token", "save", "spl_x"],
      ["device", "list"],
      ["service-account", "list"],
      ["audit"],
      ["rollback", "list"],
    ]) {
      expect([args, await run([...args, "--url", url])]).toEqual([
        args,
        refused(
          `${url} answers with status 200 and application/json, not as an instance of spl would; check the address`,
          3,
        ),
      ]);
    }
    const other = await run(["diff", url, far.url]);
    expect(other).toMatchObject({ stdout: "", status: 3 });
  });

  test("an answer that is cut off", async () => {
    const url = `${stranger.url.origin}/cut`;
    expect(await run(["status", "--url", url])).toEqual(
      refused(`the answer of ${url} is damaged or cut off; run the same command again`, 3),
    );
  });
});

test.skipIf(!canBeNobody)("what belongs to another user is not taken for absent", async () => {
  const as = (...args: string[]) => asNobody(box, ...args);
  chmodSync(box.home.path, 0o755);
  const { home } = local;
  expect(as("status")).toEqual(
    refused(
      `cannot reach ${home}/run/spl.sock: permission denied; the instance belongs to another user; reach it by its URL with a token`,
      3,
    ),
  );
  expect(as("stop")).toEqual(refused(`cannot read ${home}/run/lock: permission denied`, 1));
  expect(as("start").stderr).toBe(`cannot read ${home}/config.toml: permission denied\n`);
  expect(as("init").stderr).toBe(`cannot make the folder ${home}: permission denied\n`);
  expect(as("export", "--offline", "--out", box.file("none.tar")).stderr).toBe(
    `cannot read ${home}/run: permission denied\n`,
  );
  expect(as("doctor").stdout).toContain(`FAIL  open         cannot read ${home}/hub.db: permission denied\n`);
  chmodSync(box.home.path, 0o700);
  expect((await run(["status"])).status).toBe(0);
});
