import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Device, PairingCode } from "../../lib/api/wire.ts";
import { Box } from "../kit/box.ts";
import { splBinary } from "../kit/spl.ts";

setDefaultTimeout(30_000);

/** Two machines: the one that serves an instance, and one that is let in. */

let host: Box;
beforeAll(async () => {
  host = await Box.serving();
});
afterAll(() => host[Symbol.asyncDispose]());

interface Accepted {
  url: string;
  device: string;
  account: string;
  scopes: string[];
  instance_did: string;
  phrase: string;
}

let devices = 0;
const newName = () => `device ${++devices}`;

async function pair(...flags: string[]): Promise<PairingCode> {
  return host.json<PairingCode>("pair", "--device", newName(), ...flags);
}

async function state(device: string): Promise<string> {
  return (await host.json<Device[]>("device", "list")).find((row) => row.device === device)!.state;
}

/** Resolves once the note of the device's first call is written; an answer does not wait for it. */
async function connected(device: string): Promise<void> {
  while ((await state(device)) !== "connected");
}

/** `spl` while it runs, with what it has said so far. */
class Running implements Disposable {
  shown = "";
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;

  constructor(readonly child: Bun.Subprocess<"pipe", "pipe", "pipe">) {
    this.#reader = child.stdout.getReader() as ReadableStreamDefaultReader<Uint8Array>;
  }

  static script(box: Box, ...args: string[]): Running {
    return new Running(start(box, [splBinary(), ...args]));
  }

  /** At a terminal of 100 columns; both streams are that terminal. */
  static terminal(box: Box, line: string, env: Record<string, string> = {}): Running {
    const typed = `stty cols 100 -onlcr; "$SPL" ${line}`;
    return new Running(start(box, ["script", "-qec", typed, "/dev/null"], env));
  }

  /** Resolves once the text has been shown. */
  async until(text: string): Promise<void> {
    while (!this.shown.includes(text)) {
      const { done, value } = await this.#reader.read();
      if (done) throw new Error(`it ended without "${text}": ${this.shown}`);
      this.shown += Buffer.from(value).toString();
    }
  }

  async end(): Promise<{ shown: string; stderr: string; status: number }> {
    for (;;) {
      const { done, value } = await this.#reader.read();
      if (done) break;
      this.shown += Buffer.from(value).toString();
    }
    const [stderr, status] = await Promise.all([this.child.stderr.text(), this.child.exited]);
    return { shown: this.shown, stderr, status };
  }

  [Symbol.dispose](): void {
    this.child.kill();
  }
}

function start(
  box: Box,
  command: string[],
  more: Record<string, string> = {},
): Bun.Subprocess<"pipe", "pipe", "pipe"> {
  const env = { ...box.home.env, SPL: splBinary(), TERM: "xterm", ...more };
  return Bun.spawn(command, { cwd: box.home.path, env, stdin: "pipe", stdout: "pipe", stderr: "pipe" });
}

describe("a machine is let in", () => {
  test("by the link: both ends show the same words, its token is kept for that address alone", async () => {
    await using other = new Box();
    using waiting = Running.script(host, "pair", "--device", "laptop", "--wait");
    await waiting.until("expires:");
    const link = /link: +(\S+)/.exec(waiting.shown)![1]!;
    const accepted = await other.json<Accepted>("pair", "--accept", link);
    const { instance_did, url } = await host.json("status");
    expect(accepted).toMatchObject({
      url,
      device: "laptop",
      account: "device-laptop",
      scopes: ["records:read", "records:write"],
      instance_did,
    });
    const { shown, status } = await waiting.end();
    expect(status).toBe(0);
    expect(shown).toContain(`  phrase:  ${accepted.phrase} (the same words must show on the device)\n`);
    expect(shown).toEndWith("✓ laptop is connected\n");
    expect(accepted.phrase).toMatch(/^[a-z]+ [a-z]+ [a-z]+$/);

    const file = join(other.home.env.XDG_CONFIG_HOME!, "syncropel", "credentials.json");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const { token } = JSON.parse(readFileSync(file, "utf8"))[accepted.url];
    expect(token).toStartWith("spl_live_device-laptop_");
    for (const text of [shown, JSON.stringify(accepted)]) expect(text).not.toContain(token.slice(-20));

    await other.ok("intend", "from the laptop", "--thread", "th_a", "--url", accepted.url);
    await connected("laptop");
    expect(await host.ok("device", "revoke", "laptop")).toBe(
      "✓ laptop is revoked\n  account:  device-laptop\n",
    );
    const refused = await other.spl(["status", "--url", accepted.url]);
    expect(refused).toMatchObject({ stdout: "", status: 4, stderr: expect.stringContaining("revoked") });
    expect(await state("laptop")).toBe("revoked");
  });

  test("by the code alone, with the address in --url or SPL_SERVE_URL, typed as people type", async () => {
    const { url } = await host.json<{ url: string }>("status");
    await using first = new Box();
    const one = await pair();
    const accepted = await first.ok("pair", "--accept", one.code.toLowerCase(), "--url", `${url}/`);
    expect(accepted).toStartWith(`✓ This machine is ${one.device} at ${url} now\n  phrase:`);
    await using second = new Box();
    second.home.env.SPL_SERVE_URL = url;
    const two = await pair();
    await second.ok("pair", "--accept", two.code.replaceAll("-", " "));
    expect(await second.ok("thread", "list")).toContain("th_a");
  });

  test("from a machine that is let in itself, as the journey does with a hosted instance", async () => {
    const { url } = await host.json<{ url: string }>("status");
    await using laptop = new Box();
    await laptop.ok("pair", "--accept", (await pair("--scopes", "admin")).link);
    laptop.home.env.SPL_SERVE_URL = url;
    const advertised = "https://myteam.example.com:9100";
    const flags = ["--device", "office", "--url", advertised, "--scopes", "records:write"];
    const { link, code } = await laptop.json<PairingCode>("pair", ...flags);
    expect(link).toBe(`${advertised}/pair#${code}`);
    await using office = new Box();
    await office.ok("pair", "--accept", code, "--url", url);
    await connected("office");
    expect(await laptop.ok("device", "revoke", "office", "--yes")).toContain("✓ office is revoked");
  });

  test("under the default scopes of its name", async () => {
    await using other = new Box();
    const { link, scopes } = await host.json<PairingCode>("pair", "--device", "viewer-wall");
    expect(scopes).toEqual(["records:read"]);
    const { url } = await other.json<Accepted>("pair", "--accept", link);
    expect((await other.spl(["intend", "no", "--url", url])).status).toBe(4);
    await other.ok("status", "--url", url);
  });
});

test("what a device has open ends when it is revoked", async () => {
  await using other = new Box();
  const { link, device } = await pair();
  const { url } = await other.json<Accepted>("pair", "--accept", link);
  const command = ["thread", "records", "th_a", "--follow", "--url", url, "-o", "ndjson"];
  using following = Running.script(other, ...command);
  await host.ok("intend", "seen", "--thread", "th_a");
  await following.until("seen");
  await host.ok("device", "revoke", device);
  expect((await following.end()).status).not.toBe(0);
  const again = await other.spl(command);
  expect(again).toMatchObject({ status: 4, stderr: expect.stringContaining("the token was revoked") });
});

describe("what a script gets", () => {
  test("the code, and no QR code, without waiting", async () => {
    const result = await host.spl([
      "pair",
      "--device",
      "iPhone",
      "--url",
      "https://myteam.example.com:9100",
      "--scopes",
      "records:write",
    ]);
    const [, code] = /code: +(\S+)/.exec(result.stdout)!;
    const [, at] = /\((.*)\)/.exec(result.stdout)!;
    expect(result).toEqual({
      stdout: `✓ A code for iPhone, to be used once
  code:     ${code}
  link:     https://myteam.example.com:9100/pair#${code}
  scopes:   records:write
  expires:  in 10 minutes (${at})
`,
      stderr: "",
      status: 0,
    });
  });

  test("JSON with the names of the contract", async () => {
    expect(Object.keys(await pair()).sort()).toEqual([
      "code",
      "device",
      "expires_at",
      "id",
      "link",
      "scopes",
    ]);
  });

  test("a note where the link cannot be used elsewhere, or only in clear text", async () => {
    const notes = async (url: string) =>
      (await host.spl(["pair", "--device", newName(), "--url", url])).stderr.split(";")[0];
    expect(await notes("http://localhost:9100")).toBe("the link leads to this machine only");
    expect(await notes("http://192.0.2.1:9100")).toStartWith("the link is plain http");
    expect(await notes("https://box.example")).toBe("");
  });

  test("with --wait and -o json: the code at once, the rest by the exit status", async () => {
    using waiting = Running.script(host, "pair", "--device", newName(), "--wait", "-o", "json");
    await waiting.until("}\n");
    const { device } = JSON.parse(waiting.shown) as PairingCode;
    await host.ok("device", "revoke", device);
    const { shown, stderr, status } = await waiting.end();
    expect(status).toBe(1);
    expect(JSON.parse(shown)).toMatchObject({ device });
    expect(JSON.parse(stderr)).toMatchObject({ code: "not_found" });
  });

  test("five wrong codes end the wait", async () => {
    using waiting = Running.script(host, "pair", "--device", newName(), "--wait", "-o", "json");
    await waiting.until("}\n");
    const { code } = JSON.parse(waiting.shown) as PairingCode;
    const { url } = await host.json<{ url: string }>("status");
    const wrong = code.slice(0, -1) + (code.endsWith("0") ? "1" : "0");
    await using other = new Box();
    for (let n = 0; n < 5; n++) {
      const refused = await other.spl(["pair", "--accept", wrong, "--url", url]);
      expect(refused).toMatchObject({
        status: 4,
        stderr: expect.stringContaining("this code opens nothing"),
      });
    }
    const { stderr, status } = await waiting.end();
    expect({ status, code: JSON.parse(stderr).code }).toEqual({ status: 4, code: "pairing_refused" });
  });
});

describe("on a terminal", () => {
  test("there is a QR code and the time left, and success once the device has called", async () => {
    await using other = new Box();
    using waiting = Running.terminal(host, "pair --device tablet");
    await waiting.until("waiting for tablet, 10:00 left");
    expect(waiting.shown).toContain("\x1b[38;5;16;48;5;231m    █▀▀▀▀▀█");
    const link = /link: +(\S+)/.exec(waiting.shown)![1]!;
    const { phrase } = await other.json<Accepted>("pair", "--accept", link);
    const { shown, status } = await waiting.end();
    expect(status).toBe(0);
    expect(shown).toContain(`  phrase:  ${phrase} (`);
    expect(shown).toEndWith("✓ tablet is connected\n");
  });

  test("--no-qr and --no-wait leave it at the code", async () => {
    using run = Running.terminal(host, "pair --device plain --no-qr --no-wait");
    const { shown, status } = await run.end();
    expect(status).toBe(0);
    expect(shown).not.toMatch(/[█▀▄]/);
    expect(shown).not.toContain("waiting");
    expect(await state("plain")).toBe("waiting");
  });

  test("without colours the QR code is drawn in blocks alone", async () => {
    using run = Running.terminal(host, "pair --device blocks --no-wait", { NO_COLOR: "1" });
    const { shown } = await run.end();
    expect(shown).toContain("████ ▄▄▄▄▄ █");
    expect(shown).not.toContain("\x1b[38");
  });

  test("Ctrl-C leaves the code valid, and says so", async () => {
    using waiting = Running.terminal(host, "pair --device patience");
    await waiting.until("waiting for patience");
    const link = /link: +(\S+)/.exec(waiting.shown)![1]!;
    waiting.child.stdin.write("\x03");
    await waiting.child.stdin.flush();
    const { shown, status } = await waiting.end();
    expect(status).toBe(130);
    expect(shown).toContain("the code stays valid until it expires; spl device list shows patience");
    await using other = new Box();
    await other.ok("pair", "--accept", link);
    await connected("patience");
  });
});

describe("refusals", () => {
  test("a link that is opened twice: the second machine learns that it was used", async () => {
    const { link } = await pair();
    await using first = new Box();
    await using second = new Box();
    await first.ok("pair", "--accept", link);
    const refused = await second.spl(["pair", "--accept", link, "-o", "json"]);
    expect({ ...refused, stderr: JSON.parse(refused.stderr) }).toMatchObject({
      stdout: "",
      status: 4,
      stderr: { code: "pairing_spent", hint: expect.stringContaining("spl pair --device NAME") },
    });
  });

  test("where a token is saved already, before the code is used", async () => {
    const [first, second] = [await pair(), await pair()];
    await using other = new Box();
    await other.ok("pair", "--accept", first.link);
    const refused = await other.spl(["pair", "--accept", second.link]);
    expect(refused).toMatchObject({
      stdout: "",
      status: 5,
      stderr: expect.stringContaining("spl token forget"),
    });
    expect(await state(second.device)).toBe("waiting");
    await using third = new Box();
    await third.ok("pair", "--accept", second.link);
  });

  test("over plain http off this machine, before anything is sent", async () => {
    await using other = new Box();
    const refused = await other.spl(["pair", "--accept", "http://192.0.2.1:9100/pair#7KMP-2XQ9-T4VD"]);
    expect(refused).toMatchObject({ stdout: "", status: 5, stderr: expect.stringContaining("plain http") });
  });

  test("on the instance's own machine", async () => {
    const { link, code, device } = await pair();
    for (const args of [[link], [code]]) {
      const refused = await host.spl(["pair", "--accept", ...args]);
      expect(refused).toMatchObject({ status: 2, stderr: expect.stringContaining("own machine") });
    }
    expect(await state(device)).toBe("waiting");
  });

  test("where nothing answers", async () => {
    await using other = new Box();
    const gone = await other.spl(["pair", "--accept", "http://127.0.0.1:9/pair#7KMP-2XQ9-T4VD"]);
    expect(gone).toMatchObject({ stdout: "", status: 3 });
  });

  test("wrong usage", async () => {
    const cases: [args: string[], message: string][] = [
      [[], "whom to pair is missing"],
      [["--device", "a", "--accept", "b"], "two ends"],
      [["--accept", "nonsense"], "needs the link or the code"],
      [["--accept", "7KMP-2XQ9-T4VD", "--scopes", "admin"], "--scopes goes with --device"],
      [
        ["--accept", "https://a.example/pair#7KMP-2XQ9-T4VD", "--url", "https://b.example"],
        "says where it leads",
      ],
      [["--device", "a", "--wait", "--no-wait"], "exclude each other"],
    ];
    for (const [args, message] of cases) {
      const { stdout, stderr, status } = await host.spl(["pair", ...args]);
      expect({ args, stdout, status }).toEqual({ args, stdout: "", status: 2 });
      expect(stderr).toContain(message);
    }
  });

  test("a device that has a token, and one that does not exist", async () => {
    const { device, link } = await pair();
    await using other = new Box();
    await other.ok("pair", "--accept", link);
    const again = await host.spl(["pair", "--device", device]);
    expect(again).toMatchObject({
      status: 1,
      stderr: expect.stringContaining(`spl device revoke '${device}'`),
    });
    const none = await host.spl(["device", "revoke", "nobody"]);
    expect(none).toMatchObject({
      status: 1,
      stderr: 'there is no device "nobody"; spl device list shows all\n',
    });
  });
});

test("the list of an instance without devices says what to type", async () => {
  await using fresh = await Box.serving();
  expect(await fresh.spl(["device", "list"])).toEqual({
    stdout: "",
    stderr: "no devices yet; spl pair --device NAME lets one in\n",
    status: 0,
  });
  expect(await fresh.json<Device[]>("device", "list")).toEqual([]);
});
