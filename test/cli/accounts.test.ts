import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import type {
  AuditEvent,
  CreatedServiceAccount,
  MintedToken,
  ServiceAccount,
  ServiceAccountDetail,
  Token,
} from "../../lib/api/wire.ts";
import { credentialsPath } from "../../lib/client/credentials.ts";
import { Box } from "../kit/box.ts";
import { boxAt } from "../kit/hosted.ts";
import { splBinary } from "../kit/spl.ts";

setDefaultTimeout(30_000);

/** Accounts, tokens and the audit table, from the owner's machine and from one that is signed in. */

const TOKEN = /spl_live_[a-z0-9-]+_[A-Za-z0-9_-]{43}/;
const ONCE = "the token is shown this once; spl token save - keeps it where it is used\n";
const refused = (line: string, status: number) => ({ stdout: "", stderr: `${line}\n`, status });

let host: Box;
let url: string;
beforeAll(async () => {
  host = await Box.serving();
  ({ url } = await host.json<{ url: string }>("status"));
});
afterAll(() => host[Symbol.asyncDispose]());

/** A machine that is signed in with an account of these scopes. */
async function signedIn(name: string, ...scopes: string[]): Promise<Box> {
  const { token } = await host.json<MintedToken>("token", "create", name, "--scopes", scopes.join());
  const box = boxAt(url);
  await box.ok("token", "save", token);
  return box;
}

describe("service accounts", () => {
  test("the first is made once, by the owner, with all rights", async () => {
    await using box = await Box.serving();
    const made = await box.spl(["service-account", "create", "--bootstrap", "--with-token"]);
    expect(made).toMatchObject({ status: 0, stderr: ONCE });
    expect(made.stdout.replace(TOKEN, "TOKEN")).toBe(
      "✓ account operator created\n  scopes:  admin\n  actors:  any\n  token:   TOKEN\n",
    );
    expect(await box.spl(["service-account", "create", "--bootstrap", "--with-token"])).toEqual(
      refused(
        "this instance has been bootstrapped already; spl service-account create --name NAME --scopes admin --with-token makes another account",
        1,
      ),
    );
    const { url: there } = await box.json<{ url: string }>("status");
    await using device = boxAt(there);
    await device.ok("token", "save", TOKEN.exec(made.stdout)![0]);
    const second = ["service-account", "create", "--bootstrap", "--with-token"];
    expect(await device.json<CreatedServiceAccount>(...second)).toMatchObject({
      name: "operator-2",
      scopes: ["admin"],
    });
  });

  test("are created, listed, described, narrowed and revoked", async () => {
    const created = await host.json<CreatedServiceAccount>(
      ...["service-account", "create", "--name", "writer", "--scopes", "records:write,records:read"],
      ...[
        "--actors",
        "did:sync:user:w",
        "--description",
        "the \x1b[2Jwriter",
        "--with-token",
        "--expires",
        "90d",
      ],
    );
    expect(created).toMatchObject({
      name: "writer",
      scopes: ["records:read", "records:write"],
      actors: ["did:sync:user:w"],
    });
    await using writer = boxAt(url);
    await writer.ok("token", "save", created.token!);
    const speak = ["intend", "x", "--thread", "th_w", "--actor"];
    await writer.ok(...speak, "did:sync:user:w");
    expect(await writer.spl([...speak, "did:sync:user:other"])).toMatchObject({ status: 4 });

    const list = await host.json<ServiceAccount[]>("service-account", "list");
    expect(list.map(({ name }) => name)).toContain("writer");
    expect(await host.ok("service-account", "list")).toMatch(
      /^writer +service +active +records:read records:write +did:sync:user:w +the \\x1b\[2Jwriter$/m,
    );
    const described = await host.json<ServiceAccountDetail>("service-account", "describe", "writer");
    const ahead = Date.parse(described.tokens[0]!.expires_at!) - Date.parse(described.tokens[0]!.created_at);
    expect(Math.round(ahead / 86_400_000)).toBe(90);
    expect(await host.ok("service-account", "describe", "writer")).toContain(
      `${described.tokens[0]!.id} active, expires ${described.tokens[0]!.expires_at}`,
    );

    expect(await host.ok("service-account", "revoke", "writer", "--scopes", "records:write")).toBe(
      "✓ account writer has less now\n  scopes:  records:read\n  actors:  did:sync:user:w\n",
    );
    expect(await writer.spl([...speak, "did:sync:user:w"])).toMatchObject({ status: 4 });
    await writer.ok("thread", "list");
    expect(await host.ok("service-account", "revoke", "writer")).toStartWith("✓ account writer is revoked\n");
    expect(await writer.spl(["thread", "list"])).toEqual(
      refused("the token was revoked; ask the instance's operator for another, then spl token save TOKEN", 4),
    );
    expect(
      await host.spl(["service-account", "create", "--name", "writer", "--scopes", "admin"]),
    ).toMatchObject({
      status: 1,
    });
  });

  test("nobody makes more than he may himself", async () => {
    await using reader = await signedIn("only-reader", "records:read");
    for (const args of [
      ["service-account", "create", "--bootstrap", "--with-token"],
      ["service-account", "create", "--name", "more", "--scopes", "admin", "--with-token"],
      ["service-account", "list"],
      ["token", "create", "--bootstrap"],
      ["token", "create", "only-reader"],
      ["token", "list"],
      ["audit"],
    ]) {
      const { stdout, stderr, status } = await reader.spl(args);
      expect({ args, stdout, status }).toEqual({ args, stdout: "", status: 4 });
      expect(stderr).toContain("admin");
    }
    expect(await reader.json<Token>("token", "info")).toMatchObject({ account: "only-reader" });
  });

  test("on a terminal revoking asks first", async () => {
    await host.ok("service-account", "create", "--name", "asked", "--scopes", "records:read");
    for (const [answer, status] of [
      ["n\r", 2],
      ["y\r", 0],
    ] as const) {
      let shown = "";
      let answered = false;
      const child = Bun.spawn([splBinary(), "service-account", "revoke", "asked"], {
        env: host.home.env,
        terminal: {
          data(terminal, bytes) {
            shown += Buffer.from(bytes).toString();
            if (answered || !shown.includes("[y/N]")) return;
            answered = true;
            terminal.write(answer);
          },
        },
      });
      expect(await child.exited).toBe(status);
      child.terminal?.close();
      expect(shown).toContain('Close the account "asked" with all its tokens?');
      const { state } = await host.json<ServiceAccountDetail>("service-account", "describe", "asked");
      expect(state).toBe(status === 0 ? "revoked" : "active");
    }
  });
});

describe("tokens", () => {
  test("are minted, shown once, listed, rotated and revoked", async () => {
    const minted = await host.spl([
      "token",
      "create",
      "ci",
      "--scopes",
      "records:read",
      "--expires",
      "24h",
      "--description",
      "runner",
    ]);
    expect(minted).toMatchObject({ status: 0, stderr: ONCE });
    const token = TOKEN.exec(minted.stdout)![0];
    const { id } = (await host.json<Token[]>("token", "list")).find(({ account }) => account === "ci")!;
    expect(minted.stdout).toStartWith(`✓ token ${id} minted\n  account:      ci\n`);
    for (const args of [["list"], ["info", id]]) {
      expect(await host.ok("token", ...args)).not.toMatch(TOKEN);
      expect(await host.ok("token", ...args, "-o", "json")).not.toContain(token.slice(-43));
    }
    const rotated = await host.json<MintedToken>("token", "rotate", id);
    expect(rotated).toMatchObject({ account: "ci", description: "runner", scopes: ["records:read"] });
    expect(rotated.token).not.toBe(token);
    expect(await host.json<Token>("token", "info", id)).toMatchObject({ state: "revoked" });
    expect(await host.ok("token", "revoke", rotated.id)).toBe(
      `✓ token ${rotated.id} is revoked\n  account:  ci\n`,
    );
    await using box = boxAt(url);
    for (const old of [token, rotated.token]) {
      expect(await box.spl(["token", "save", old])).toMatchObject({ status: 4, stdout: "" });
    }
  });

  test("the saved one is replaced in its place when it is rotated, and not shown", async () => {
    await using admin = await signedIn("rotator", "admin");
    const path = credentialsPath(admin.home.env);
    const saved = () => JSON.parse(readFileSync(path, "utf8"))[url].token as string;
    const before = saved();
    const { id } = await admin.json<Token>("token", "info");
    const rotated = await admin.ok("token", "rotate");
    expect(rotated).toStartWith(`✓ token ${id} is tok_`);
    expect(rotated).toContain(`, saved for ${url}\n`);
    expect(rotated).not.toMatch(TOKEN);
    expect(saved()).not.toBe(before);
    const json = await admin.json<Partial<MintedToken>>("token", "rotate");
    expect(json.token).toBeUndefined();
    expect(await admin.json<Token>("token", "info")).toMatchObject({ id: json.id!, state: "active" });

    // Another's token is not kept here, so it has to be shown.
    const other = await admin.json<MintedToken>("token", "create", "else", "--scopes", "records:read");
    expect((await admin.json<MintedToken>("token", "rotate", other.id)).token).toMatch(TOKEN);
    // Nor is one from the environment, which comes before what is saved.
    const kept = saved();
    const boss = await admin.json<MintedToken>("token", "create", "boss", "--scopes", "admin");
    admin.home.env.SPL_TOKEN = boss.token;
    const next = await admin.json<MintedToken>("token", "rotate");
    expect(next.account).toBe("boss");
    expect(next.token).toMatch(TOKEN);
    expect(saved()).toBe(kept);
    expect(await admin.spl(["token", "save", next.token])).toMatchObject({
      status: 0,
      stderr: "SPL_TOKEN is set and comes before what is saved\n",
    });
    delete admin.home.env.SPL_TOKEN;
  });

  test("a rotated one that cannot be saved is shown rather than lost", async () => {
    await using admin = await signedIn("unlucky", "admin");
    const lock = join(dirname(credentialsPath(admin.home.env)), "credentials.lock");
    rmSync(lock);
    mkdirSync(lock);
    const { stdout, stderr, status } = await admin.spl(["token", "rotate"]);
    expect(status).toBe(1);
    expect(stderr).toBe(`${ONCE}cannot lock ${lock}: it is a directory\n`);
    rmdirSync(lock);
    expect((await admin.spl(["token", "save", TOKEN.exec(stdout)![0]])).status).toBe(0);
  });

  test("a bootstrap token voids those before it", async () => {
    const [first, second] = [
      await host.json<MintedToken>("token", "create", "--bootstrap"),
      await host.json<MintedToken>("token", "create", "--bootstrap"),
    ];
    await using box = boxAt(url);
    expect((await box.spl(["token", "save", first.token])).status).toBe(4);
    expect((await box.spl(["token", "save", second.token])).status).toBe(0);
  });

  test("wrong usage says what to type", async () => {
    const cases: [line: string, said: string][] = [
      ["token create", "ACCOUNT is missing; see 'spl token create --help'"],
      ["token create ci --bootstrap", "--bootstrap does not go with ACCOUNT; leave out one of them"],
      [
        "token create --bootstrap --expires 1h",
        "--bootstrap does not go with --expires; leave out one of them",
      ],
      [
        "token create ci --expires soon",
        '--expires "soon" is neither a duration nor a time; write it like --expires 24h, --expires 7d or --expires 2026-01-31T12:00:00Z',
      ],
      ["token create ci --scopes a,,b", '--scopes "a,,b" has an empty part; separate them by single commas'],
      ["token info", "ID is missing: the local daemon is reached without a token; spl token list shows all"],
      [
        "token rotate",
        "ID is missing: the local daemon is reached without a token; spl token list shows all",
      ],
      ["token revoke", "ID is missing; see 'spl token revoke --help'"],
      [
        "service-account create --scopes admin",
        "--name NAME is missing; only --bootstrap can do without; see 'spl service-account create --help'",
      ],
      [
        "service-account create --name x",
        "--scopes A,B is missing; only --bootstrap can do without; see 'spl service-account create --help'",
      ],
      [
        "service-account create --name x --scopes admin --expires 1h",
        "--expires is for the token, and none is asked for; add --with-token",
      ],
      [
        "audit --since never",
        '--since "never" is neither a duration nor a time; write it like --since 24h, --since 7d or --since 2026-01-31T12:00:00Z',
      ],
    ];
    for (const [line, said] of cases) expect(await host.spl(line.split(" "))).toEqual(refused(said, 2));
    for (const line of ["token info tok_000000000000", "service-account describe nobody"]) {
      expect(await host.spl(line.split(" "))).toMatchObject({ status: 1, stdout: "" });
    }
    expect((await host.spl(["token", "create", "ci", "--expires", "2020-01-01"])).stderr).toContain(
      "would have expired already",
    );
    expect((await host.spl(["token", "create", "x", "--scopes", "everything"])).stderr).toContain(
      'there is no scope "everything"',
    );
  });
});

describe("what is kept on this machine", () => {
  test("is told without its secret, and why it is used", async () => {
    await using box = await signedIn("shown", "records:read");
    const path = credentialsPath(box.home.env);
    expect(await box.spl(["token", "show-source"])).toEqual({
      status: 0,
      stderr: "",
      stdout: `${url}\n  chosen by:   SPL_SERVE_URL\n  reached by:  TCP\n  token:       spl_live_shown_…\n  token from:  ${path}\n`,
    });
    const source = (...args: string[]) => box.json("token", "show-source", ...args);
    expect(await source()).toEqual({
      url,
      socket: null,
      from: "SPL_SERVE_URL",
      token: "spl_live_shown_…",
      token_from: path,
      trade_pending: false,
    });
    // No secret may show, wherever in a token of another make it is.
    for (const [SPL_TOKEN, masked] of [
      [`spl_live_env_${"A".repeat(43)}`, "spl_live_env_…"],
      ["spl_live_mysecret_x", "…"],
      ["letmein", "…"],
    ] as const) {
      box.home.env.SPL_TOKEN = SPL_TOKEN;
      expect(await source()).toMatchObject({ token: masked, token_from: "SPL_TOKEN" });
    }
    delete box.home.env.SPL_SERVE_URL;
    await box.ok("config", "set", "default_url", url);
    expect(await source()).toMatchObject({ from: "default_url", token: "spl_live_shown_…" });
    expect((await box.spl(["token", "show-source"])).stderr).toBe(
      "SPL_TOKEN is set; it counts only with --url or SPL_SERVE_URL, and never for the socket\n",
    );
    expect(await source("--url", "http://192.0.2.1")).toMatchObject({ token: "…", url: "http://192.0.2.1" });
    expect(await host.json("token", "show-source", "--url", url)).toMatchObject({
      url,
      socket: `${host.home.env.SYNCROPEL_HOME}/run/spl.sock`,
      token: null,
    });
  });

  test("is forgotten for one address, and stays good there", async () => {
    await using box = await signedIn("forgetful", "records:read");
    const { id } = await box.json<Token>("token", "info");
    const elsewhere = url.replace("127.0.0.1", "localhost");
    expect(await box.spl(["token", "forget", "--url", elsewhere])).toEqual({
      status: 0,
      stdout: `no token is saved for ${elsewhere}\n`,
      stderr: "",
    });
    expect(await box.spl(["token", "forget"])).toEqual({
      status: 0,
      stdout: `✓ token for ${url} forgotten\n`,
      stderr: `it is still good; whoever may manage tokens there ends it with spl token revoke ${id}\n`,
    });
    expect(await box.spl(["status"])).toMatchObject({ status: 4 });
    expect(await host.json<Token>("token", "info", id)).toMatchObject({ state: "active" });
    expect(await box.json("token", "forget")).toEqual({ url, forgotten: false, id: null });
    expect(existsSync(credentialsPath(box.home.env))).toBe(true);
  });
});

test("the audit table tells who did what, one event a line, since any moment", async () => {
  await using box = await Box.serving();
  await box.ok("service-account", "create", "--name", "ci", "--scopes", "records:read", "--with-token");
  const { url: there } = await box.json<{ url: string }>("status");
  await using device = boxAt(there);
  const { token } = await box.json<MintedToken>("token", "create", "boss", "--scopes", "admin");
  await device.ok("token", "save", token);
  await device.ok("service-account", "revoke", "ci");
  await box.ok("export", "--out", "a.tar");
  const events = async (...args: string[]) => {
    const text = await box.ok("audit", ...args);
    return text === ""
      ? []
      : text
          .trimEnd()
          .split("\n")
          .map((line) => JSON.parse(line) as AuditEvent);
  };
  const all = await events();
  expect(all.map(({ n }) => n)).toEqual(all.map((_, at) => at + 1));
  expect(all).toContainEqual(
    expect.objectContaining({ event: "account.revoke", detail: expect.objectContaining({ by: "boss" }) }),
  );
  expect(all.map(({ event }) => event)).toEqual(
    expect.arrayContaining(["account.create", "token.mint", "sign-in", "account.revoke", "export"]),
  );
  expect(await events("--since", "1h", "-o", "json")).toEqual(await events("-o", "text"));
  expect(await events("--since", "2999-01-01")).toEqual([]);
  const { at } = all.at(-1)!;
  expect((await events("--since", at)).every((event) => event.at >= at)).toBe(true);
});
