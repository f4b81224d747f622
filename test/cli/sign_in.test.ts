import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import type { MintedToken, Token } from "../../lib/api/wire.ts";
import { credentialsPath } from "../../lib/client/credentials.ts";
import { Box } from "../kit/box.ts";
import { BOOTSTRAP, boxAt, Hosted } from "../kit/hosted.ts";
import { splBinary } from "../kit/spl.ts";

setDefaultTimeout(30_000);

/** Signing in at an instance elsewhere from a machine of one's own. */

const SPENT =
  'the bootstrap token has already been used or has expired (it lives for 1 hour); sign back into the instance\'s first-run page and use "regenerate bootstrap token", or run spl service-account create --bootstrap --with-token from a paired device';

const refused = (line: string, status: number) => ({ stdout: "", stderr: `${line}\n`, status });

interface Kept {
  token?: string;
  pending?: { token: string; bootstrap: string };
}

/** What is kept for a URL on this machine. */
function kept(box: Box, url: string): Kept | undefined {
  const path = credentialsPath(box.home.env);
  return existsSync(path) ? JSON.parse(readFileSync(path, "utf8"))[url] : undefined;
}

/** A fresh bootstrap token, as the owner of the instance mints it. */
async function regenerate(hosted: Hosted): Promise<string> {
  const minted = await hosted.daemon.fetch("/v1/bootstrap-tokens", { method: "POST" });
  return ((await minted.json()) as MintedToken).token;
}

async function mint(hosted: Hosted, account: string, scopes: string[]): Promise<string> {
  return ((await (await hosted.daemon.post("/v1/tokens", { account, scopes })).json()) as MintedToken).token;
}

describe("the journey", () => {
  test("from a local instance to a hosted one, by three commands and an import", async () => {
    await using hosted = await Hosted.start();
    await using me = await Box.serving();
    const local = await me.json("status");
    await me.ok("intend", "graduate", "--thread", "th_move");
    await me.ok("export", "--out", "migration.tar.zst");
    const records = await me.ok("thread", "records", "th_move");

    me.home.env.SPL_SERVE_URL = hosted.url;
    expect(await me.spl(["token", "save", BOOTSTRAP])).toEqual({
      status: 0,
      stderr: "",
      stdout: `✓ token saved for ${hosted.url}
  account:      bootstrap
  scopes:       admin
  actors:       any
  description:  traded for a bootstrap token
  expires:      never
`,
    });
    const before = await me.json<{ instance_did: string; records: number }>("status");
    expect(before.instance_did).not.toBe(local.instance_did as string);
    expect(before.records).toBe(0);
    expect(await me.ok("import", "migration.tar.zst")).toContain("adopted (private key matches");

    // Either instance by its URL, in turn, from the same shell.
    const localUrl = local.url as string;
    for (const SPL_SERVE_URL of [
      localUrl,
      hosted.url,
      localUrl.replace("127.0.0.1", "localhost"),
      hosted.url,
    ]) {
      me.home.env.SPL_SERVE_URL = SPL_SERVE_URL;
      expect(await me.json("status")).toMatchObject({ instance_did: local.instance_did, records: 1 });
      expect(await me.ok("thread", "records", "th_move")).toBe(records);
    }
    delete me.home.env.SPL_SERVE_URL;

    // A second machine gets nothing by what the first has used up.
    await using other = boxAt(hosted.url);
    expect(await other.spl(["token", "save", BOOTSTRAP])).toEqual(refused(SPENT, 4));
    expect(await other.spl(["status"])).toMatchObject({ status: 4, stdout: "" });
    expect(kept(other, hosted.url)).toBeUndefined();
    // The cure of the troubleshooting table: from the device that is signed in.
    me.home.env.SPL_SERVE_URL = hosted.url;
    const { token, name } = await me.json<{ token: string; name: string }>(
      ...["service-account", "create", "--bootstrap", "--with-token"],
    );
    delete me.home.env.SPL_SERVE_URL;
    expect(name).toBe("operator");
    expect((await other.spl(["token", "save", "-"], `${token}\n`)).status).toBe(0);
    expect(await other.json("status")).toMatchObject({ instance_did: local.instance_did });
  });
});

describe("token save", () => {
  let hosted: Hosted;
  let box: Box;
  beforeAll(async () => {
    hosted = await Hosted.start();
  });
  afterAll(() => hosted[Symbol.asyncDispose]());
  beforeEach(() => {
    box = boxAt(hosted.url);
  });
  afterEach(() => box[Symbol.asyncDispose]());

  test("trades a bootstrap token for one that was made here and is shown to nobody", async () => {
    const bootstrap = await regenerate(hosted);
    const saved = await box.json<Token & { url: string }>("token", "save", bootstrap);
    expect(saved).toMatchObject({
      url: hosted.url,
      account: "bootstrap",
      scopes: ["admin"],
      state: "active",
    });
    const { token, pending } = kept(box, hosted.url)!;
    expect(pending).toBeUndefined();
    expect(token).toMatch(/^spl_live_bootstrap_[A-Za-z0-9_-]{43}$/);
    expect(JSON.stringify(saved)).not.toContain(token!);
    expect(await box.json<Token>("token", "info")).toMatchObject({ id: saved.id, kind: "bearer" });
  });

  test("keeps a bearer token as it is", async () => {
    const token = await mint(hosted, "reader", ["records:read"]);
    for (const [args, stdin] of [
      [["save", token], undefined],
      [["save", "-"], token],
      [["save", "-"], `  ${token}\r\n`],
    ] as const) {
      expect(await box.spl(["token", ...args, "-o", "json"], stdin)).toMatchObject({ status: 0, stderr: "" });
      expect(kept(box, hosted.url)).toEqual({ token });
      await box.ok("token", "forget");
    }
  });

  test("asks on a terminal, and shows nothing of what is typed", async () => {
    const token = await mint(hosted, "typist", ["records:read"]);
    for (const words of [
      ["token", "save"],
      ["token", "save", "-"],
    ]) {
      let shown = "";
      const child = Bun.spawn([splBinary(), ...words], {
        env: box.home.env,
        terminal: {
          data(terminal, bytes) {
            const asked = shown.includes("Token: ");
            shown += Buffer.from(bytes).toString();
            if (!asked && shown.includes("Token: ")) terminal.write(`${token}\r`);
          },
        },
      });
      expect(await child.exited).toBe(0);
      child.terminal?.close();
      expect(shown).toContain(`token saved for ${hosted.url}`);
      expect(shown).not.toContain(token.slice(-43));
      expect(kept(box, hosted.url)).toEqual({ token });
    }
  });

  test("refuses what is no token before anything is sent, and does not repeat it", async () => {
    const characters =
      "the token holds characters that no token has; copy it again, without line ends and quotes";
    const cases: [args: string[], stdin: string | undefined, line: string][] = [
      [["save", '"secret"'], undefined, characters],
      [["save", "-"], "two\nlines", characters],
      [
        ["save", "-"],
        " \n",
        "no token came; type 'spl token save TOKEN', or 'spl token save -' with the token on standard input",
      ],
      [
        ["save", "-"],
        "x".repeat(2_000_000),
        "the token is longer than any token; copy it again, without line ends and quotes",
      ],
      [
        ["save"],
        undefined,
        "Token is needed, and there is no terminal; type 'spl token save TOKEN', or 'spl token save -' with the token on standard input",
      ],
    ];
    // Nobody listens there: had anything been sent, the status were 3.
    box.home.env.SPL_SERVE_URL = "http://127.0.0.1:1";
    for (const [args, stdin, line] of cases) {
      expect(await box.spl(["token", ...args], stdin)).toEqual(refused(line, 2));
    }
    expect(await box.spl(["token", "save", "spl_x", "--url", "http://192.0.2.1"])).toEqual(
      refused(
        "http://192.0.2.1 is plain http: a token would be readable on the way; use https, or a tunnel to a loopback address",
        5,
      ),
    );
    expect(existsSync(credentialsPath(box.home.env))).toBe(false);
  });

  test("leaves the token that is there alone when the new one is not good", async () => {
    const token = await mint(hosted, "steady", ["records:read"]);
    await box.ok("token", "save", token);
    const spent = await regenerate(hosted);
    await using first = boxAt(hosted.url);
    await first.ok("token", "save", spent);
    const voided = await regenerate(hosted);
    await regenerate(hosted);
    const revoked = await mint(hosted, "gone", ["records:read"]);
    await hosted.daemon.fetch("/v1/service-accounts/gone", { method: "DELETE" });
    const ask = "ask the instance's operator for another";
    const cases: [string, string][] = [
      [spent, SPENT],
      [voided, SPENT],
      [revoked, `the token was revoked; ${ask}, then spl token save TOKEN`],
      [`${token}x`, `the token is unknown here; spl token show-source says which token was sent; ${ask}`],
      ["made-up", `the token is unknown here; spl token show-source says which token was sent; ${ask}`],
    ];
    for (const [bad, line] of cases) {
      expect(await box.spl(["token", "save", bad])).toEqual(refused(line, 4));
      expect(kept(box, hosted.url)).toEqual({ token });
    }
    const gone = await box.spl(["token", "save", token, "--url", "http://127.0.0.1:1"]);
    expect(gone).toMatchObject({ status: 3, stdout: "" });
    expect(kept(box, "http://127.0.0.1:1")).toBeUndefined();
  });

  test("has nothing to do for the instance of this machine", async () => {
    await using mine = await Box.serving();
    const line =
      "the local daemon is reached by its socket, which needs no token; name the instance that the token is for with --url or SPL_SERVE_URL";
    const { url } = await mine.json<{ url: string }>("status");
    expect(await mine.spl(["token", "save", "spl_x"])).toEqual(refused(line, 2));
    expect(await mine.spl(["token", "save", "spl_x", "--url", url])).toEqual(refused(line, 2));
  });

  test("finishes a trade whose answer was lost", async () => {
    const former = await mint(hosted, "former", ["records:read"]);
    const bootstrap = await regenerate(hosted);
    await using proxy = await LossyProxy.before(hosted);
    box.home.env.SPL_SERVE_URL = proxy.url;
    await box.ok("token", "save", former);
    proxy.cuts = true;
    expect(await box.spl(["token", "save", bootstrap])).toMatchObject({ status: 3, stdout: "" });
    expect(proxy.cut).toBe(1);
    const { token, pending } = kept(box, proxy.url)!;
    expect(token).toBe(former);
    expect(pending!.token).toMatch(/^spl_live_bootstrap_/);
    expect((await box.spl(["token", "show-source"])).stderr).toBe(
      "a trade has not been answered; the same spl token save finishes it\n",
    );
    // The trade itself took place: nobody else can have it any more.
    await using other = boxAt(hosted.url);
    expect(await other.spl(["token", "save", bootstrap])).toEqual(refused(SPENT, 4));

    proxy.cuts = false;
    expect((await box.spl(["token", "save", bootstrap])).status).toBe(0);
    expect(kept(box, proxy.url)).toEqual({ token: pending!.token });
    expect(await box.json<Token>("token", "info")).toMatchObject({ account: "bootstrap", state: "active" });
  });

  test("gives up a trade that another has won, and keeps the former token", async () => {
    const former = await mint(hosted, "loser", ["records:read"]);
    await box.ok("token", "save", former);
    const bootstrap = await regenerate(hosted);
    await using winner = boxAt(hosted.url);
    await winner.ok("token", "save", bootstrap);
    const path = credentialsPath(box.home.env);
    const all = JSON.parse(readFileSync(path, "utf8"));
    const hash = new Bun.CryptoHasher("sha256").update(bootstrap).digest("hex");
    all[hosted.url].pending = { token: `spl_live_bootstrap_${"A".repeat(43)}`, bootstrap: hash };
    writeFileSync(path, JSON.stringify(all));
    expect(await box.spl(["token", "save", bootstrap])).toEqual(refused(SPENT, 4));
    expect(kept(box, hosted.url)).toEqual({ token: former });
  });

  test("of many at once with one bootstrap token exactly one is let in", async () => {
    const bootstrap = await regenerate(hosted);
    const boxes = Array.from({ length: 6 }, () => boxAt(hosted.url));
    const results = await Promise.all(boxes.map((each) => each.spl(["token", "save", bootstrap])));
    expect(results.map(({ status }) => status).sort()).toEqual([0, 4, 4, 4, 4, 4]);
    for (const [n, each] of boxes.entries()) {
      expect(kept(each, hosted.url)?.token !== undefined).toBe(results[n]!.status === 0);
      await each[Symbol.asyncDispose]();
    }
  });
});

test("a bootstrap token that has expired says so, with the way out", async () => {
  await using hosted = await Hosted.start();
  await using box = boxAt(hosted.url);
  await hosted.whileStopped("UPDATE tokens SET expires_at = 1");
  expect(await box.spl(["token", "save", BOOTSTRAP])).toEqual(refused(SPENT, 4));
  expect(await box.spl(["status"], undefined)).toMatchObject({ status: 4 });
  expect(kept(box, hosted.url)).toBeUndefined();
});

test("a saved token that has expired says so at the next command", async () => {
  await using hosted = await Hosted.start();
  await using box = boxAt(hosted.url);
  await box.ok("token", "save", BOOTSTRAP);
  await hosted.whileStopped("UPDATE tokens SET expires_at = 1 WHERE kind = 'bearer'");
  expect(await box.spl(["status"])).toEqual(
    refused("the token has expired; ask the instance's operator for another, then spl token save TOKEN", 4),
  );
});

/** A proxy that, when told to, lets a trade through and breaks the connection in place of the answer. */
class LossyProxy implements AsyncDisposable {
  cuts = false;
  cut = 0;

  private constructor(
    readonly server: Server,
    readonly url: string,
  ) {}

  static before(hosted: Hosted): Promise<LossyProxy> {
    return new Promise((resolve) => {
      const server = createServer((client) => {
        let trading = false;
        const upstream = connect({ port: hosted.daemon.port, host: "127.0.0.1" });
        client.on("data", (bytes) => {
          trading = bytes.includes("POST /v1/token/trade");
          upstream.write(bytes);
        });
        upstream.on("data", (bytes) => {
          if (!trading || !proxy.cuts) return void client.write(bytes);
          proxy.cut++;
          client.destroy();
        });
        for (const [one, other] of [
          [client, upstream],
          [upstream, client],
        ] as const) {
          one.on("error", () => undefined);
          one.on("close", () => other.destroy());
        }
      });
      let proxy: LossyProxy;
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as { port: number };
        proxy = new LossyProxy(server, `http://127.0.0.1:${port}`);
        resolve(proxy);
      });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.close();
  }
}
