import { expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Box } from "../kit/box.ts";
import { runSpl, splBinary } from "../kit/spl.ts";
import { until } from "../kit/until.ts";

/** `spl serve`, `start` and `stop` with the compiled binary, as users run them. */

interface Ready {
  url: string;
  instance_did: string;
  pid: number;
  home: string;
}

/** A process of `spl serve` in the foreground, once it says that it is ready. */
async function foreground(box: Box, flags: string[] = [], under: string[] = []) {
  const child = Bun.spawn([...under, splBinary(), "serve", "--port", "0", "-o", "json", ...flags], {
    cwd: box.home.path,
    env: box.home.env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  return { child, ready: JSON.parse(new TextDecoder().decode(value)) as Ready };
}

function socketOf(box: Box): string {
  return join(box.home.env.SYNCROPEL_HOME!, "run", "spl.sock");
}

function line(thread: string, i: number): string {
  return `${JSON.stringify({ thread, act: "DO", actor: "did:sync:user:a", body: { i } })}\n`;
}

test("a daemon: started, found, refused twice, stopped", async () => {
  await using box = new Box();
  const started = await box.spl(["serve", "--daemon", "--port", "0", "--name", "laptop"]);
  expect(started.stderr).toBe("");
  expect(started.stdout).toMatch(
    /^✓ serving did:sync:instance:laptop-[0-9a-f]{40}\n {2}url: {2}http:\/\/127\.0\.0\.1:\d+\n {2}home: \S+\n {2}pid: {2}\d+\n$/,
  );
  const status = await box.json<Ready>("status");
  expect(started.stdout).toContain(`pid:  ${status.pid}\n`);
  expect(started.stdout).toContain(status.url);

  for (const args of [["serve"], ["serve", "--daemon"], ["start"]]) {
    const second = await box.spl([...args, "--port", "0"]);
    expect(second.status).toBe(5);
    expect(second.stdout).toBe("");
    expect(second.stderr).toContain(`is running`);
    expect(second.stderr).toContain(`pid ${status.pid}, ${status.url}`);
    expect(second.stderr.trimEnd()).not.toContain("\n");
  }

  const stopped = await box.spl(["serve", "--stop"]);
  expect(stopped).toEqual({ status: 0, stdout: `✓ stopped (pid ${status.pid})\n`, stderr: "" });
  expect(existsSync(socketOf(box))).toBe(false);
  await box.serve();
  await box.stop();
  const again = await box.spl(["stop"]);
  expect(again.status).toBe(0);
  expect(again.stdout).toContain("no daemon is running for");
  expect((await box.spl(["status"])).status).toBe(3);
});

test("a daemon that does not answer is not waited for without end; what to type ends it, and nothing is lost", async () => {
  await using box = await Box.serving();
  await box.ok("do", "something");
  const { pid, digest } = await box.json<{ pid: number; digest: string }>("status");
  process.kill(pid, "SIGSTOP");
  const home = box.home.env.SYNCROPEL_HOME!;
  expect(await box.spl(["serve", "--stop"])).toEqual({
    stdout: "",
    stderr: `the daemon of ${home} (pid ${pid}) does not answer; kill -9 ${pid} ends it without losing what it acknowledged\n`,
    status: 1,
  });
  process.kill(pid, "SIGKILL");
  await until(
    () => box.spl(["stop"]),
    ({ status }) => status === 0,
  );
  await box.serve();
  expect(await box.json("status")).toMatchObject({ records: 1, digest });
}, 60_000);

test("a terminal that is closed ends it in order; nohup keeps it", async () => {
  await using box = new Box();
  const { child } = await foreground(box);
  child.kill("SIGHUP");
  expect(await child.exited).toBe(0);
  expect(existsSync(socketOf(box))).toBe(false);
  const kept = await foreground(box, [], ["nohup"]);
  kept.child.kill("SIGHUP");
  expect(await box.json("status")).toMatchObject({ pid: kept.ready.pid });
  kept.child.kill("SIGTERM");
  expect(await kept.child.exited).toBe(0);
});

test("nobody who watches any more ends it, loses nothing, and is no hindrance to the next start", async () => {
  await using box = new Box();
  const child = Bun.spawn([splBinary(), "serve", "--port", "0"], {
    cwd: box.home.path,
    env: box.home.env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  await child.stdout.getReader().read();
  // The reader goes away: `spl serve 2>&1 | head`, a terminal that is closed.
  await child.stderr.cancel();
  for (let n = 0; n < 5; n++) await box.ok("do", `thing ${n}`);
  for (let n = 0; n < 3; n++) child.kill("SIGHUP");
  expect(await child.exited).toBe(0);
  await box.serve();
  expect(await box.json("status")).toMatchObject({ records: 5 });
});

test("start and stop are the same by name, and tell machines", async () => {
  await using box = new Box();
  const ready = await box.json<Ready>("start", "--port", "0", "--isolated");
  expect(Object.keys(ready)).toEqual(["url", "instance_did", "pid", "home"]);
  expect(await box.json("stop")).toEqual({ stopped: true, pid: ready.pid, home: ready.home });
  expect(await box.json("stop")).toEqual({ stopped: false, pid: null, home: ready.home });
});

test("a daemon that cannot start says why with its own error and status", async () => {
  await using holder = await Box.serving();
  const { url } = await holder.json<Ready>("status");
  const port = new URL(url).port;
  await using box = new Box();
  const failed = await box.spl(["serve", "--daemon", "--port", port]);
  expect(failed).toEqual({
    status: 1,
    stdout: "",
    stderr: `port ${port} of 127.0.0.1 is in use by another program; choose another with --port\n`,
  });
  const told = await box.spl(["serve", "--daemon", "--port", port, "-o", "json"]);
  expect(JSON.parse(told.stderr)).toMatchObject({ code: "port_in_use", daemon_status: 1 });
  // The home is free again.
  await box.serve();
});

test("in the foreground: ready in one line, ended by a signal with status 0", async () => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    await using box = new Box();
    const { child, ready } = await foreground(box);
    expect(ready).toMatchObject({ pid: child.pid, home: box.home.env.SYNCROPEL_HOME! });
    expect(await (await fetch("http://x/health", { unix: socketOf(box) })).json()).toMatchObject({
      status: "ok",
      instance_did: ready.instance_did,
    });
    child.kill(signal);
    expect(await child.exited).toBe(0);
    expect(await child.stderr.text()).toBe("");
    expect(existsSync(socketOf(box))).toBe(false);
  }
});

test("whoever watches it in the foreground sees what happens", async () => {
  await using box = new Box();
  const child = Bun.spawn([splBinary(), "serve", "--isolated", "--port", "0"], {
    env: box.home.env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const lines = child.stdout.getReader();
  expect(new TextDecoder().decode((await lines.read()).value)).toStartWith(
    "✓ serving did:sync:instance:local-",
  );
  await box.ok("intend", "watch");
  child.kill("SIGTERM");
  expect(await child.exited).toBe(0);
  const seen = await child.stderr.text();
  expect(seen).toMatch(
    / start version=.* request method=POST path=\/v1\/records status=201 .* stop pid=\d+\n$/s,
  );
});

test("killed in the middle of writing, it comes back with all that it acknowledged", async () => {
  await using box = new Box();
  const { child } = await foreground(box);
  const batch = Array.from({ length: 5000 }, (_, i) => line(`th_${i % 3}`, i)).join("");
  const response = await fetch("http://x/v1/records", {
    unix: socketOf(box),
    method: "POST",
    headers: { "content-type": "application/x-ndjson", accept: "application/x-ndjson" },
    body: batch,
  });
  let acknowledged = "";
  try {
    for await (const chunk of response.body!) {
      acknowledged += new TextDecoder().decode(chunk);
      if (acknowledged.split("\n").length > 2000) child.kill("SIGKILL");
    }
  } catch {
    // The connection breaks with the process.
  }
  await child.exited;
  expect(existsSync(socketOf(box))).toBe(true);
  const ids = acknowledged
    .split("\n")
    .slice(0, -1)
    .map((text) => (JSON.parse(text) as { id: string }).id);
  expect(ids.length).toBeGreaterThanOrEqual(2000);

  await box.serve();
  const { records } = await box.json<{ records: number }>("status");
  expect(records).toBeGreaterThanOrEqual(ids.length);
  const kept = new Set<string>();
  for (const thread of ["th_0", "th_1", "th_2"]) {
    for (const text of (await box.ok("thread", "records", thread)).trimEnd().split("\n")) {
      kept.add((JSON.parse(text) as { id: string }).id);
    }
  }
  expect(ids.filter((id) => !kept.has(id))).toEqual([]);
  expect(await box.ok("doctor", "--deep")).not.toContain("FAIL");
});

test("SPL_SERVE_URL is ignored with a word, and insecure localhost warned of, at each start", async () => {
  await using box = new Box();
  const flags = ["serve", "--daemon", "--port", "0", "--insecure-localhost"];
  const started = await runSpl(flags, { home: box.home, env: { SPL_SERVE_URL: "https://hosted.example" } });
  expect(started.status).toBe(0);
  const [first, second] = started.stderr.split("\n");
  expect(first).toContain("SPL_SERVE_URL is set; spl serve ignores it");
  expect(second).toStartWith("warning: --insecure-localhost");
  const { url } = await box.json<Ready>("status");
  expect((await fetch(`${url}/v1/status`)).status).toBe(200);
  await box.ok("stop");
  expect((await box.spl([...flags, "-o", "json"])).stderr).toContain("--insecure-localhost");
  await box.ok("stop");
});

test("a loopback URL with the daemon's port just works, without a token", async () => {
  await using box = await Box.serving();
  const { url, instance_did } = await box.json<Ready>("status");
  const { port } = new URL(url);
  for (const name of ["localhost", "127.0.0.1", "[::1]"]) {
    const asked = await runSpl(["status", "-o", "json"], {
      home: box.home,
      env: { SPL_SERVE_URL: `http://${name}:${port}` },
    });
    expect(JSON.parse(asked.stdout)).toMatchObject({ instance_did });
  }
  await using other = await Box.serving();
  const stranger = await other.spl(["status", "--url", url]);
  expect(stranger.status).toBe(4);
  expect(stranger.stderr).toContain("asks for a token");
});

test("wrong usage is said before anything runs", async () => {
  const wrong: [string[], string][] = [
    [["serve", "--port", "99999"], "--port 99999 is no port"],
    [["serve", "--port", "web"], "--port web is no port"],
    [["serve", "--stop", "--daemon"], "--stop goes with no other flag"],
    [["serve", "--stop", "--port", "1"], "--stop goes with no other flag"],
    [
      ["serve", "--host", "0.0.0.0", "--insecure-localhost", "--port", "0"],
      "does not go with --host 0.0.0.0",
    ],
    [["start", "--daemon"], "--daemon"],
    [["stop", "now"], "now"],
  ];
  await using box = new Box();
  for (const [args, message] of wrong) {
    const result = await box.spl(args);
    expect({ args, status: result.status, stdout: result.stdout }).toEqual({ args, status: 2, stdout: "" });
    expect(result.stderr).toContain(message);
  }
  expect(existsSync(box.home.env.SYNCROPEL_HOME!)).toBe(false);
});

test("a damaged home refuses to start, in one line, and is not touched", async () => {
  await using box = await Box.serving();
  await box.stop();
  const db = join(box.home.env.SYNCROPEL_HOME!, "hub.db");
  writeFileSync(db, "this was a database once ".repeat(400));
  const before = readFileSync(db);
  const failed = await box.spl(["serve", "--daemon", "--port", "0"]);
  expect(failed.status).toBe(6);
  expect(failed.stderr).toContain("damaged");
  expect(failed.stderr.trimEnd()).not.toContain("\n");
  expect(readFileSync(db)).toEqual(before);
});

test("a daemon does not keep the secrets of the shell that started it", async () => {
  await using box = new Box();
  const env = { SPL_TOKEN: "spl_live_me_secret", SPL_PASSPHRASE: "open sesame" };
  const args = ["serve", "--daemon", "--port", "0", "-o", "json"];
  const started = await runSpl(args, { home: box.home, env });
  const { pid } = JSON.parse(started.stdout) as Ready;
  const environment = readFileSync(`/proc/${pid}/environ`, "utf8");
  expect(environment).toContain("SYNCROPEL_HOME=");
  expect(environment).not.toMatch(/SPL_TOKEN|SPL_PASSPHRASE/);
  await box.ok("serve", "--stop");
});
