import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { homePaths } from "../../lib/base/home.ts";
import { Box } from "../kit/box.ts";
import { Authority, type Certificate, openssl } from "../kit/certificates.ts";
import { Daemon, spawnDaemon, statusOf } from "../kit/daemon.ts";
import { type RunResult, runCommand, runSpl, ScratchHome } from "../kit/spl.ts";
import { ScratchFolder } from "../kit/store.ts";

/** https with certificates of one's own, from the compiled binary to the compiled binary and to others' clients. */

const files = new ScratchFolder();
let authority: Authority;
let own: Certificate;
beforeAll(async () => {
  authority = await Authority.make(files.path);
  own = await authority.issue("own");
});
afterAll(() => files[Symbol.dispose]());

function flagsOf({ cert, key }: Certificate): string[] {
  return ["--tls-cert", cert, "--tls-key", key];
}

/** `spl` on another machine, with a token and the authority, unless it is told otherwise. */
function elsewhere(args: string[], env: Record<string, string> = {}, home?: ScratchHome): Promise<RunResult> {
  return runSpl(args, { env: { NODE_EXTRA_CA_CERTS: authority.cert, ...env }, ...(home && { home }) });
}

function refusal(message: string, status: number): RunResult {
  return { stdout: "", stderr: expect.stringMatching(new RegExp(`^${message}[^\n]*\n$`)), status };
}

describe("an instance with a certificate", () => {
  let home: ScratchHome;
  let daemon: Daemon;
  let url: string;
  let token: string;
  beforeAll(async () => {
    home = new ScratchHome();
    daemon = await Daemon.start(home, { flags: flagsOf(own) });
    url = `https://localhost:${daemon.port}`;
    const minted = await daemon.fetch("/v1/tokens", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ account: "elsewhere", scopes: ["admin"] }),
    });
    token = ((await minted.json()) as { token: string }).token;
  });
  afterAll(async () => {
    await daemon[Symbol.asyncDispose]();
    home[Symbol.dispose]();
  });

  test("says so, and is used from another machine that trusts its authority", async () => {
    const here = await runSpl(["status", "-o", "json"], { home });
    const { url: told, instance_did } = JSON.parse(here.stdout) as { url: string; instance_did: string };
    expect(told).toBe(`https://127.0.0.1:${daemon.port}`);
    const there = await elsewhere(["status", "--url", url, "-o", "json"], { SPL_TOKEN: token });
    expect(JSON.parse(there.stdout)).toMatchObject({ instance_did });
    expect((await elsewhere(["status", "--url", url])).status).toBe(4);
  });

  test("sends and takes large bundles whole", async () => {
    using far = new ScratchHome();
    const lines = Array.from({ length: 3000 }, (_, i) =>
      JSON.stringify({
        thread: `th_${i % 7}`,
        act: "DO",
        actor: "did:sync:user:a",
        body: { i, x: "x".repeat(900) },
      }),
    );
    writeFileSync(join(far.path, "emit.ndjson"), `${lines.join("\n")}\n`);
    const env = { SPL_TOKEN: token, SPL_SERVE_URL: url };
    expect((await elsewhere(["emit", "emit.ndjson"], env, far)).status).toBe(0);
    expect((await elsewhere(["export", "--out", "b.tar"], env, far)).status).toBe(0);
    const imported = await elsewhere(["import", "b.tar", "-o", "json"], env, far);
    expect(JSON.parse(imported.stdout)).toMatchObject({ inspected: 3000, inserted: 0, deduplicated: 3000 });
  });

  test("is refused by who does not trust the authority, in one line, and the token is not sent", async () => {
    using far = new ScratchHome();
    const asked = await runSpl(["status", "--url", url], { home: far, env: { SPL_TOKEN: token } });
    expect(asked).toEqual(refusal(`cannot reach ${url}: its certificate is signed by no authority`, 3));
    expect(asked.stderr).toContain("NODE_EXTRA_CA_CERTS=ca.pem");
    const stray = await authority.issue("stray", { san: "DNS:other.example" });
    using server = Bun.serve({
      port: 0,
      tls: { cert: readFileSync(stray.cert, "utf8"), key: readFileSync(stray.key, "utf8") },
      fetch: () => expect.unreachable(),
    });
    const misnamed = await elsewhere(["status", "--url", `https://localhost:${server.port}`], {
      SPL_TOKEN: token,
    });
    expect(misnamed).toEqual(
      refusal(`cannot reach https://localhost:${server.port}: its certificate is for another name`, 3),
    );
  });

  test("an expired certificate is named as such", async () => {
    const old = await authority.issue("old-server", { days: -1 });
    using server = Bun.serve({
      port: 0,
      tls: { cert: readFileSync(old.cert, "utf8"), key: readFileSync(old.key, "utf8") },
      fetch: () => expect.unreachable(),
    });
    const asked = await elsewhere(["status", "--url", `https://localhost:${server.port}`]);
    expect(asked).toEqual(
      refusal(`cannot reach https://localhost:${server.port}: its certificate has expired`, 3),
    );
  });

  test("the wrong scheme reaches nobody, and harms nobody", async () => {
    const plain = await elsewhere(["status", "--url", `http://localhost:${daemon.port}`]);
    expect(plain).toEqual(
      refusal(`cannot reach http://localhost:${daemon.port}: it closed the connection`, 3),
    );
    expect(plain.stderr).toContain("https://");
    await using other = await Box.serving();
    const port = new URL((await other.json<{ url: string }>("status")).url).port;
    const asked = await elsewhere(["status", "--url", `https://127.0.0.1:${port}`]);
    expect(asked).toEqual(refusal(`cannot reach https://127.0.0.1:${port}: it does not speak TLS`, 3));
    expect(asked.stderr).toContain("http://");
    expect((await daemon.fetch("/health")).status).toBe(200);
  });

  test("who talks nonsense or never finishes the handshake keeps nobody out", async () => {
    const closed: Promise<void>[] = [];
    const open: Bun.Socket[] = [];
    for (let i = 0; i < 100; i++) {
      const { promise, resolve } = Promise.withResolvers<void>();
      // A ClientHello that announces 512 bytes and stops; every second one is no TLS at all.
      const bytes = i % 2 ? "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" : "\x16\x03\x01\x02\x00\x01";
      const socket = await Bun.connect({
        hostname: "127.0.0.1",
        port: daemon.port,
        socket: { data: () => undefined, close: () => resolve(), error: () => resolve() },
      });
      socket.write(Buffer.from(bytes, "latin1"));
      if (i % 2) closed.push(promise);
      open.push(socket);
    }
    await Promise.all(closed);
    expect((await elsewhere(["status", "--url", url], { SPL_TOKEN: token })).status).toBe(0);
    for (const socket of open) socket.terminate();
    expect((await elsewhere(["status", "--url", url], { SPL_TOKEN: token })).status).toBe(0);
  });

  test("speaks TLS 1.2 and 1.3, and nothing older", async () => {
    const connect = (version: string) =>
      runCommand(
        [
          ...["openssl", "s_client", "-connect", `127.0.0.1:${daemon.port}`, version, "-brief"],
          // Without this, openssl itself would refuse to try the old versions.
          ...["-cipher", "ALL:@SECLEVEL=0", "-CAfile", authority.cert, "-verify_return_error"],
        ],
        { env: { PATH: Bun.env.PATH!, LC_ALL: "C" }, stdin: "" },
      );
    for (const [version, name] of [
      ["-tls1_2", "TLSv1.2"],
      ["-tls1_3", "TLSv1.3"],
    ] as const) {
      const { stderr, status } = await connect(version);
      expect({ stderr, status }).toEqual({
        stderr: expect.stringContaining(`Protocol version: ${name}`),
        status: 0,
      });
      expect(stderr).toContain("Verification: OK");
    }
    for (const version of ["-tls1", "-tls1_1"]) {
      const { stderr, status } = await connect(version);
      expect({ stderr, status }).toEqual({
        stderr: expect.stringContaining("alert protocol version"),
        status: 1,
      });
    }
  });
});

describe("where the certificate is", () => {
  test("relative flags count from the working folder, also for a daemon", async () => {
    await using box = new Box();
    const relative = { cert: basename(own.cert), key: basename(own.key) };
    const started = await runSpl(
      ["serve", "--daemon", "--isolated", "--port", "0", "-o", "json", ...flagsOf(relative)],
      { home: box.home, cwd: files.path },
    );
    expect({ status: started.status, stderr: started.stderr }).toEqual({ status: 0, stderr: "" });
    expect(JSON.parse(started.stdout).url).toStartWith("https://127.0.0.1:");
    await box.stop();
  });

  test("relative paths of config.toml count from the home, and flags come before them", async () => {
    await using box = new Box();
    const paths = homePaths(box.home.env.SYNCROPEL_HOME!);
    mkdirSync(paths.home);
    writeFileSync(join(paths.home, "own.pem"), readFileSync(own.cert));
    writeFileSync(join(paths.home, "own.key"), readFileSync(own.key), { mode: 0o600 });
    writeFileSync(paths.config, '[tls]\ncert = "own.pem"\nkey = "own.key"\n');
    await box.serve();
    expect((await box.json<{ url: string }>("status")).url).toStartWith("https://");
    await box.stop();
    const refused = await box.spl([
      "serve",
      "--port",
      "0",
      ...flagsOf({ cert: "/nowhere.pem", key: own.key }),
    ]);
    expect(refused).toEqual(refusal("cannot read /nowhere.pem: no such file", 1));
  });
});

test("a certificate that cannot serve is refused in one line, and nothing is made", async () => {
  const other = await authority.issue("other");
  const old = await authority.issue("old", { days: -1 });
  const open = await authority.issue("open");
  chmodSync(open.key, 0o640);
  const locked = await authority.issue("locked");
  const encrypted = files.file("encrypted.key");
  await openssl("pkey", "-in", locked.key, "-aes256", "-passout", "pass:x", "-out", encrypted);
  chmodSync(encrypted, 0o600);
  const noise = files.file("noise.pem");
  writeFileSync(noise, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", { mode: 0o600 });
  const half = files.file("half.pem");
  writeFileSync(half, readFileSync(own.cert, "utf8").slice(0, 300));
  const both = files.file("chain.pem");
  writeFileSync(both, `${readFileSync(own.cert, "utf8")}${readFileSync(noise, "utf8")}`);
  const cases: [string[], string, number][] = [
    [["--tls-cert", own.cert], "--tls-cert and --tls-key go together; give both or neither", 2],
    [["--tls-key", own.key], "--tls-cert and --tls-key go together; give both or neither", 2],
    [
      flagsOf({ ...own, cert: files.file("none.pem") }),
      "cannot read \\S+none.pem: no such file or directory",
      1,
    ],
    [
      flagsOf({ ...own, key: files.file("none.key") }),
      "cannot read \\S+none.key: no such file or directory",
      1,
    ],
    [flagsOf({ ...own, cert: files.path }), "\\S+ is no certificate or key", 2],
    [flagsOf({ ...own, cert: "/dev/zero" }), "/dev/zero is no certificate or key", 2],
    [flagsOf({ ...own, cert: own.key }), "\\S+own.key is no certificate in PEM form", 2],
    [flagsOf({ ...own, cert: noise }), "\\S+noise.pem is no certificate in PEM form", 2],
    [flagsOf({ ...own, cert: half }), "\\S+half.pem is no certificate in PEM form", 2],
    [flagsOf({ ...own, cert: both }), "\\S+chain.pem is no certificate in PEM form", 2],
    [flagsOf({ ...own, key: noise }), "\\S+noise.pem is no private key in PEM form", 2],
    [
      flagsOf({ ...own, key: other.key }),
      "the key \\S+other.key is not that of the certificate \\S+own.pem",
      2,
    ],
    [flagsOf(old), "the certificate \\S+old.pem expired on \\d{4}-\\d\\d-\\d\\d", 2],
    [flagsOf(open), "the private key \\S+open.key is open to other users; chmod 600 ", 1],
    [flagsOf({ ...locked, key: encrypted }), "the key \\S+encrypted.key is encrypted", 2],
  ];
  for (const mode of [[], ["--daemon"]]) {
    for (const [flags, message, status] of cases) {
      using home = new ScratchHome();
      const refused = await runSpl(["serve", "--isolated", "--port", "0", ...mode, ...flags], { home });
      expect({ flags, ...refused }).toEqual({ flags, ...refusal(message, status) });
      expect(existsSync(home.env.SYNCROPEL_HOME!)).toBe(false);
    }
  }
});

describe("listening beyond this machine", () => {
  const WARNING = /^warning: listening on 0\.0\.0\.0 without TLS: [^\n]+\n$/;

  test("in the clear, a daemon warns whoever starts it, and its log", async () => {
    await using box = new Box();
    const started = await box.spl(["serve", "--daemon", "--isolated", "--port", "0", "--host", "0.0.0.0"]);
    expect(started).toMatchObject({ status: 0, stderr: expect.stringMatching(WARNING) });
    const { log, config } = homePaths(box.home.env.SYNCROPEL_HOME!);
    expect(readFileSync(log, "utf8")).toMatch(/Z cleartext host=0\.0\.0\.0\n/);
    await box.stop();

    writeFileSync(config, '[listen]\nhost = "0.0.0.0"\n');
    const again = await box.spl(["start", "--isolated", "--port", "0"]);
    expect(again).toMatchObject({ status: 0, stderr: expect.stringMatching(WARNING) });
    await box.stop();
  });

  test("in the clear, the foreground warns too; with TLS or on loopback there is nothing to say", async () => {
    const cases: [string[], RegExp][] = [
      [["--host", "0.0.0.0"], WARNING],
      [["--host", "0.0.0.0", ...flagsOf(own)], /^$/],
      [["--host", "localhost"], /^$/],
      [["--host", "127.0.0.2"], /^$/],
    ];
    for (const [flags, said] of cases) {
      using home = new ScratchHome();
      const child = spawnDaemon(home, { flags });
      const reader = child.stdout.getReader();
      await reader.read();
      child.kill("SIGTERM");
      await child.exited;
      expect([flags, statusOf(child)]).toEqual([flags, 0]);
      expect(await child.stderr.text()).toMatch(said);
      const log = readFileSync(homePaths(home.env.SYNCROPEL_HOME!).log, "utf8");
      expect([flags, log.includes(" cleartext ")]).toEqual([
        flags,
        flags[1] === "0.0.0.0" && flags.length === 2,
      ]);
    }
  });
});
