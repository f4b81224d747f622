import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { Consent, Namespace, Pair } from "../../lib/api/wire.ts";
import { Machine } from "../kit/machine.ts";
import { runSpl, ScratchHome } from "../kit/spl.ts";
import { until } from "../kit/until.ts";

async function json<T>(machine: Machine, ...args: string[]): Promise<T> {
  return JSON.parse(await machine.ok(...args, "-o", "json")) as T;
}

const pairs = (machine: Machine) => json<Pair[]>(machine, "federation", "list");
const didOf = async (machine: Machine) => (await machine.status()).instance_did;

/** The machine's only pair, as soon as it fits. */
async function pairUntil(machine: Machine, fits: (pair: Pair) => boolean): Promise<Pair> {
  const look = async () => ((await machine.daemon.json("/v1/federation/pairs")) as unknown as Pair[])[0];
  const seen = await until(look, (pair) => pair !== undefined && fits(pair));
  return seen!;
}

/** Two machines that are paired: the first asked, the second approved. */
async function pairUp(stack: AsyncDisposableStack, config: [string, string] = ["", ""]) {
  const a = stack.use(await Machine.serving(config[0]));
  const b = stack.use(await Machine.serving(config[1]));
  await a.ok("federation", "pair", b.url);
  const [asking] = await pairs(b);
  await b.ok("federation", "approve", asking!.id);
  return { a, b };
}

test("one side asks, the other approves, and both are told", async () => {
  await using a = await Machine.serving();
  await using b = await Machine.serving();
  const [didA, didB] = [await didOf(a), await didOf(b)];
  const asked = await a.spl("federation", "pair", b.url);
  expect(asked.status).toBe(0);
  expect(asked.stdout).toStartWith("✓ Asked to be paired\n");
  expect(asked.stderr).toContain("its operator approves with spl federation approve there");
  const shown = {
    url: b.url,
    last_sync: null,
    mode: "polling",
    interval_s: 60,
    threads: null,
    problem: null,
  };
  expect(await pairs(a)).toMatchObject([
    { peer_did: didB, state: "establishing", approval: "there", ...shown },
  ]);
  const [request] = await pairs(b);
  expect(request).toMatchObject({ peer_did: didA, url: a.url, state: "establishing", approval: "here" });
  // What a stranger asks is no record, and asking twice is one request.
  await a.ok("federation", "pair", b.url);
  expect((await b.status()).records).toBe(0);
  expect(await pairs(b)).toEqual([request!]);
  expect((await b.spl("federation", "list")).stderr).toContain(`spl federation approve ${request!.id}`);

  expect((await b.spl("doctor")).stdout).toContain("1 instance asking to be paired");
  const approved = await b.ok("federation", "approve", request!.id.slice(0, 4));
  expect(approved).toStartWith(`✓ the pair with ${didA} is active\n`);
  const [there] = await pairs(b);
  expect(there).toMatchObject({ peer_did: didA, url: a.url, state: "active", approval: null });
  expect(there!.id).toHaveLength(64);
  expect(await pairs(a)).toMatchObject([{ peer_did: didB, state: "active", approval: null }]);
  expect([(await a.status()).records, (await b.status()).records]).toEqual([2, 1]);
  // The first poll comes by itself, before or after this.
  expect((await a.ok("federation", "list")).split("\n")[1]).toMatch(
    /^[0-9a-f]{12} +did:sync.* active +(?:never|\S+Z)$/,
  );
  expect(await b.ok("audit")).toContain("pair.active");
  // The request's ID, which the operator was told, goes on meaning the pair.
  expect(await json<Pair>(b, "federation", "show", request!.id)).toEqual(there!);
  const twice = await b.spl("federation", "approve", request!.id);
  expect([twice.status, twice.stdout]).toEqual([1, ""]);
  expect(twice.stderr).toContain(`the pair with ${didA} is active`);
});

test("--wait ends when the other side approves, rejects, or lets the time run out", async () => {
  await using a = await Machine.serving();
  await using b = await Machine.serving();
  const wait = (...more: string[]) => a.spl("federation", "pair", b.url, "--wait", ...more);
  const late = await wait("--timeout", "0s");
  expect([late.status, late.stdout]).toEqual([1, ""]);
  expect(late.stderr).toContain("has not approved the pair yet");
  expect(late.stderr).toContain("spl federation list shows when it does");

  await b.ok("federation", "reject", await didOf(a));
  const rejected = wait();
  const request = await pairUntil(b, ({ approval }) => approval === "here");
  await b.ok("federation", "reject", request.id);
  const told = await rejected;
  expect(told.status).toBe(4);
  expect(told.stderr).toContain("it was rejected there; spl federation pair URL asks again");
  expect(await pairs(b)).toEqual([]);

  const waiting = wait();
  const again = await pairUntil(b, ({ approval }) => approval === "here");
  await b.ok("federation", "approve", again.peer_did);
  const end = await waiting;
  expect(end.status).toBe(0);
  expect(end.stdout).toStartWith(`✓ Paired with ${await didOf(b)}\n`);
});

test("both sides asking is both sides approving; a rule approves by DID", async () => {
  await using a = await Machine.serving();
  await using b = await Machine.serving();
  await a.ok("federation", "pair", b.url);
  expect(await b.ok("federation", "pair", a.url)).toStartWith("✓ Paired with");
  expect((await pairs(a)).map(({ state }) => state)).toEqual(["active"]);
  expect((await pairs(b)).map(({ state }) => state)).toEqual(["active"]);

  const patterns = [`${(await didOf(a)).slice(0, 40)}*`, "did:sync:instance:home*"];
  const config = `[federation]\nallow_networks = ["127.0.0.0/8"]\nauto_approve = ${JSON.stringify(patterns)}\n`;
  await using c = await Machine.serving("", { config });
  expect(await a.ok("federation", "pair", c.url)).toStartWith("✓ Paired with");
  expect(await b.ok("federation", "pair", c.url)).toStartWith("✓ Asked to be paired");
  expect((await pairs(c)).map(({ state }) => state)).toEqual(["active", "establishing"]);
});

test("a pair is paused, resumed, set and revoked, each by one record that travels", async () => {
  await using stack = new AsyncDisposableStack();
  const { a, b } = await pairUp(stack);
  const [{ id, peer_did }] = (await pairs(a)) as [Pair];
  const before = (await a.status()).records;
  expect(await a.ok("federation", "pause", peer_did)).toContain("is paused");
  await a.ok("federation", "pause", id);
  expect((await a.status()).records).toBe(before + 1);
  expect(await a.ok("federation", "resume", id.slice(0, 8))).toContain("is active");
  expect(await a.ok("federation", "set-poll-interval", id, "6m")).toContain("is asked every 360 s");
  await a.ok("federation", "set-mode", id, "on-demand");
  const unheeded = await a.ok("federation", "set-poll-interval", id, "5m");
  expect(unheeded).toContain(
    `is on-demand: 300 s counts once spl federation set-mode ${id.slice(0, 12)} polling`,
  );
  expect(unheeded).not.toContain("is asked every");
  await a.ok("federation", "thread-allow", id, "th_notes", "th_plans");
  const set = { mode: "on-demand", interval_s: 300, threads: ["th_notes", "th_plans"], state: "active" };
  expect(await json<Pair>(a, "federation", "show", id)).toMatchObject(set);
  expect((await a.status()).records).toBe(before + 6);
  await a.ok("federation", "thread-allow", id, "--all");
  expect(await json<Pair>(a, "federation", "show", id)).toMatchObject({ ...set, threads: null });

  for (const [args, said] of [
    [["set-mode", id, "sometimes"], "there is no mode sometimes"],
    [["set-poll-interval", id, "1s"], "is no interval"],
    [["thread-allow", id], "which threads is missing"],
    [["thread-allow", id, "notes"], "is no thread id"],
    [
      ["thread-allow", id, "th_notes", "th_federation_pairs"],
      "th_federation_pairs is reserved: it never crosses",
    ],
    [["show", "ffffffff"], "there is no pair ffffffff"],
    [["approve", id], `the pair with ${peer_did} is active`],
    [["reject", id], "does not wait to be approved here"],
  ] as const) {
    const { status, stdout, stderr } = await a.spl("federation", ...args);
    expect({ args, failed: status !== 0, stdout }).toEqual({ args, failed: true, stdout: "" });
    expect(stderr).toContain(said);
  }

  expect(await a.ok("federation", "revoke", id, "--yes")).toContain("is revoked");
  expect(await pairs(a)).toEqual([]);
  expect((await a.spl("federation", "list")).stderr).toBe("no pairs; spl federation pair URL asks for one\n");
  for (const name of [id, id.slice(0, 8), peer_did]) {
    expect(await json<Pair>(a, "federation", "show", name)).toMatchObject({ id, peer_did, state: "revoked" });
  }
  // What is so already is so.
  await a.ok("federation", "revoke", id, "--yes");
  for (const verb of ["resume", "approve", "reject", "refresh"]) {
    const ended = await a.spl("federation", verb, id);
    expect({ verb, status: ended.status, stdout: ended.stdout }).toEqual({ verb, status: 1, stdout: "" });
    expect(ended.stderr).toContain("is revoked; spl federation pair URL asks for a new one");
  }
  const refused = await b.spl("sync");
  const { problem } = (await pairs(b))[0]!;
  for (const said of [refused.stderr, problem]) {
    expect(said).toContain("it is not paired with this instance; spl federation pair URL asks it anew");
  }
  // A revoked pair can be asked for anew.
  await b.ok("federation", "pair", a.url);
  expect(await pairs(a)).toMatchObject([{ state: "establishing", approval: "here" }]);
  expect(await pairs(b)).toMatchObject([{ state: "establishing", approval: "there" }]);
  const rejected = await a.ok("federation", "reject", peer_did);
  expect(rejected).toBe(`✓ the request of ${peer_did} was rejected\n`);
  // The old ID does not mean the pair that takes the place of the old one.
  await a.ok("federation", "pair", b.url);
  expect(await pairs(a)).toMatchObject([{ state: "active" }]);
  expect((await a.spl("federation", "revoke", id, "--yes")).stderr).toContain("is revoked");
  expect(await json<Pair>(a, "federation", "show", peer_did)).toMatchObject({ state: "active" });
});

test("a namespace crosses under a grant only, until it is taken back", async () => {
  await using stack = new AsyncDisposableStack();
  const { a, b } = await pairUp(stack);
  const emit = (thread: string, namespace: string) =>
    a.daemon.emit({ thread, act: "DO", actor: "did:sync:user:alice", body: { namespace } });
  await emit("th_work", "work");
  await emit("th_home", "home");
  // Which is no name.
  await emit("th_nameless", "");
  const did = await didOf(b);
  const grant = await json<Consent>(a, "consent", "grant", "--from", "work", "--to", did);
  expect(await json<Consent>(a, "consent", "grant", "--from", "work", "--to", did)).toEqual(grant);
  await a.ok("consent", "grant", "--from", "empty", "--to", "*");
  expect(await json<Consent[]>(a, "consent", "list")).toMatchObject([grant, { from: "empty", to: "*" }]);
  expect(await json<Namespace[]>(a, "namespace", "list")).toEqual([
    { namespace: "", threads: 1, records: 1, shared_with: [] },
    { namespace: "default", threads: 0, records: 0, shared_with: ["*"] },
    { namespace: "empty", threads: 0, records: 0, shared_with: ["*"] },
    { namespace: "home", threads: 1, records: 1, shared_with: [] },
    { namespace: "work", threads: 1, records: 1, shared_with: [did] },
  ]);
  expect(await a.ok("consent", "revoke", grant.id.slice(0, 8))).toContain("work is no longer shared with");
  expect((await json<Consent[]>(a, "consent", "list")).map(({ from }) => from)).toEqual(["empty"]);
  for (const args of [
    ["grant", "--from", "work", "--to", "everybody"],
    ["grant", "--from", "work", "--to", "foo"],
  ]) {
    const { status, stderr } = await a.spl("consent", ...args);
    expect([status, stderr]).toEqual([
      2,
      `--to "${args[4]}" is no peer; write its DID, as spl federation list shows it, or * for every pair\n`,
    ]);
  }
  expect((await a.spl("consent", "revoke", grant.id)).status).toBe(1);
});

test("a private address is refused with the setting that would allow it, and oneself by name", async () => {
  await using b = await Machine.serving();
  using home = new ScratchHome();
  const { Daemon } = await import("../kit/daemon.ts");
  await using _daemon = await Daemon.start(home, { config: "" });
  const refused = await runSpl(["federation", "pair", b.url], { home });
  expect([refused.status, refused.stdout]).toEqual([5, ""]);
  expect(refused.stderr).toContain("127.0.0.1, which is no public address");
  expect(refused.stderr).toContain("federation.allow_networks");
  const own = await b.spl("federation", "pair", b.url);
  expect(own.stderr).toContain(`is this same identity (${await didOf(b)})`);
  const nobody = await b.spl("federation", "pair", "http://127.0.0.1:9");
  expect(nobody.status).toBe(3);
  expect(await pairs(b)).toEqual([]);
});

describe("a pair that cannot be asked for", () => {
  /** It says why and what to type, and leaves no record behind. */
  async function refused(asker: Machine, url: string, status: number, ...said: string[]) {
    const { records } = await asker.status();
    const before = await pairs(asker);
    const told = await asker.spl("federation", "pair", url);
    expect({ url, status: told.status, stdout: told.stdout }).toEqual({ url, status, stdout: "" });
    for (const each of said) expect(told.stderr).toContain(each);
    expect(told.stderr.trim()).toMatch(/^[^\n]+; [^\n]+$/);
    expect((await asker.status()).records).toBe(records);
    expect(await pairs(asker)).toEqual(before);
  }

  test("as its identity was revoked is refused by name, also by who was paired with it", async () => {
    await using stack = new AsyncDisposableStack();
    const { a, b } = await pairUp(stack);
    const fresh = stack.use(await Machine.serving());
    const did = await didOf(b);
    await b.ok("identity", "revoke", "--yes");
    for (const asker of [fresh, a]) {
      await until(
        () => pairs(asker),
        ({ length }) => length === 0,
      );
      await refused(asker, b.url, 5, `${did} was revoked (`, "nobody can be paired with it");
    }
  });

  test("as the other side is isolated, or is asked too often, asks for nothing", async () => {
    await using stack = new AsyncDisposableStack();
    const isolated = stack.use(await Machine.serving("", { flags: ["--isolated"] }));
    const [a, b, c] = [
      stack.use(await Machine.serving()),
      stack.use(await Machine.serving()),
      stack.use(await Machine.serving()),
    ];
    await refused(a, isolated.url, 3, "runs isolated", `spl federation pair ${isolated.url} asks again`);
    for (let n = 0; n < 10; n++) await a.ok("federation", "pair", b.url);
    await refused(c, b.url, 5, "more than 10 such requests", "try again in ");
    expect((await pairs(b)).map(({ peer_did }) => peer_did)).toEqual([await didOf(a)]);
  });

  test("as no instance is there has the status that refresh and sync have", async () => {
    await using stack = new AsyncDisposableStack();
    const { a, b } = await pairUp(stack);
    const { port } = b.daemon;
    await b.stop();
    await refused(a, b.url, 3, "connection refused", "check the URL");
    let answer: () => Response | Promise<Response> = () => new Response("<p>hello</p>");
    const server = Bun.serve({ port, hostname: "127.0.0.1", fetch: () => answer() });
    stack.defer(() => server.stop(true));
    const answers: [typeof answer, string][] = [
      [answer, "something else than JSON"],
      [() => Response.json({ hello: 1 }), "has not the form"],
      [() => new Response("oh", { status: 500 }), "answers 500"],
      [() => Response.json({ oh: 1 }, { status: 500 }), "answers with status 500"],
      [() => new Response("gone", { status: 404 }), "there is no instance"],
      [() => Response.redirect("https://login.example", 302), "redirect"],
    ];
    for (const [each, said] of answers) {
      answer = each;
      await refused(a, b.url, 3, said, "check the URL");
      const refresh = await a.spl("federation", "refresh", await didOfPair(a));
      expect([refresh.status, refresh.stdout]).toEqual([3, ""]);
      expect(refresh.stderr).toContain("spl federation pair URL tells where it lives");
      expect((await a.spl("sync")).status).toBe(3);
    }
    await refused(a, b.url.replace("http", "https"), 3, "does not speak TLS", "check the URL");
    answer = () => new Promise(() => undefined);
    await refused(a, b.url, 3, "no answer within 5 seconds", "check the URL");
  }, 60_000);

  const didOfPair = async (machine: Machine) => (await pairs(machine))[0]!.peer_did;
});

test("both sides that ask at the same time are paired", async () => {
  await using a = await Machine.serving();
  await using b = await Machine.serving();
  await Promise.all([a.ok("federation", "pair", b.url), b.ok("federation", "pair", a.url)]);
  for (const machine of [a, b]) await pairUntil(machine, ({ state }) => state === "active");
});

test("a pairing anew puts an end to what was wrong before, and a pause is told with who has to end it", async () => {
  await using stack = new AsyncDisposableStack();
  const a = stack.use(await Machine.serving());
  const auto = `[federation]\nallow_networks = ["127.0.0.0/8"]\nauto_approve = ["did:sync:instance:*"]\n`;
  const b = stack.use(await Machine.serving("", { config: auto }));
  await a.ok("federation", "pair", b.url);
  const [didA, didB] = [await didOf(a), await didOf(b)];
  await b.ok("federation", "pause", didA);
  expect((await a.spl("sync")).stderr).toContain(
    "the pair is paused; its operator goes on with spl federation resume there",
  );
  await b.ok("federation", "revoke", didA, "--yes");
  await a.spl("sync");
  expect(await a.ok("federation", "show", didB)).toContain("state:      degraded");
  const anew = await a.ok("federation", "pair", b.url);
  expect(anew).toStartWith("✓ Paired with");
  expect(anew).toContain("state:      active");
  expect(anew).not.toContain("problem");

  const reserved = await a.spl("sync", "th_federation_pairs", "from", didB);
  expect([reserved.status, reserved.stdout]).toEqual([2, ""]);
  expect(reserved.stderr).toContain("which no sync carries; spl export does");
});

test("a pair outlives the move of one side, from both sides and without a directory", async () => {
  await using stack = new AsyncDisposableStack();
  const { a, b } = await pairUp(stack);
  const [{ id }] = (await pairs(a)) as [Pair];
  const bundle = join(a.home.path, "a.tar.zst");
  await a.ok("export", "--out", bundle);
  const left = a.url;
  await a.daemon.end("SIGKILL");

  const moved = stack.use(await Machine.serving());
  await moved.ok("import", bundle);
  // The new home has told its pairs where it is, and they wrote it down.
  const known = await pairUntil(b, ({ url }) => url !== left);
  expect(known).toMatchObject({ url: moved.url, state: "active" });
  expect(await pairs(moved)).toMatchObject([{ id, url: b.url, state: "active", last_sync: null }]);
  expect(await moved.ok("federation", "refresh", await didOf(b))).toContain("answers");
  expect(await b.ok("federation", "refresh", known.id)).toContain(moved.url);

  await moved.daemon.emit({ thread: "th_a", act: "DO", actor: "did:sync:user:alice", body: { n: 1 } });
  await b.daemon.emit({ thread: "th_b", act: "DO", actor: "did:sync:user:bob", body: { n: 2 } });
  await b.ok("sync");
  await moved.ok("sync");
  for (const machine of [moved, b]) {
    const threads = (await json<{ thread: string }[]>(machine, "thread", "list")).map(({ thread }) => thread);
    expect(threads).toContain("th_a");
    expect(threads).toContain("th_b");
  }
});

test("two homes of one identity do not both go on once they have a peer in common", async () => {
  await using stack = new AsyncDisposableStack();
  const { a, b } = await pairUp(stack);
  const [{ id }] = (await pairs(a)) as [Pair];
  const bundle = join(a.home.path, "a.tar.zst");
  await a.ok("export", "--out", bundle);
  const moved = stack.use(await Machine.serving());
  await moved.ok("import", bundle);
  // Nobody but the peer could tell it.
  const left = await a.until(({ state }) => state === "superseded");
  expect(left.moved_to).toBe(moved.url);
  for (const args of [
    ["federation", "pause", id],
    ["federation", "pair", b.url],
    ["consent", "grant", "--from", "x", "--to", "*"],
  ]) {
    const { status, stderr } = await a.spl(...args);
    expect({ args, status }).toEqual({ args, status: 5 });
    expect(stderr).toContain(`this identity moved to ${moved.url}`);
  }
  expect(await pairs(b)).toMatchObject([{ url: moved.url, state: "active" }]);
  expect((await moved.status()).state).toBe("active");
});

test("two homes of one identity that were united have one pair with a peer, whatever each of them had", async () => {
  await using stack = new AsyncDisposableStack();
  const peer = stack.use(await Machine.serving());
  const left = stack.use(await Machine.serving());
  const file = (name: string) => join(left.home.path, name);
  await left.ok("export", "--out", file("before.tar"));
  const pairWith = async (home: Machine) => {
    await home.ok("federation", "pair", peer.url);
    if ((await pairs(peer))[0]?.approval === "here")
      await peer.ok("federation", "approve", await didOf(home));
    await home.ok("federation", "pair", peer.url);
  };
  await pairWith(left);
  await left.ok("export", "--out", file("after.tar"));
  await left.stop();
  const home = stack.use(await Machine.serving());
  await home.ok("import", file("before.tar"));
  await pairWith(home);
  expect(await home.ok("import", file("after.tar"), "--force-overwrite")).toContain("federation pairs:    1");
  const [pair] = (await pairs(home)) as [Pair];
  expect(await pairs(home)).toHaveLength(1);
  // In a bundle each of them counts, as earlier releases read it.
  expect(await home.ok("export", "--out", file("united.tar"))).toContain("federation pairs: 2\n");
  await home.ok("verify", file("united.tar"));
  await home.ok("drill");
  const synced = await home.ok("sync");
  expect(synced.match(/✓ did:/g)).toHaveLength(1);

  const did = await didOf(peer);
  expect(await home.ok("federation", "pause", did)).toContain("state:      paused");
  expect((await peer.spl("sync")).stderr).toContain("the pair is paused");
  await home.ok("federation", "resume", pair.id);
  await peer.ok("sync");
  await home.ok("federation", "thread-allow", did, "th_only");
  await home.ok("federation", "set-mode", did, "on-demand");
  await home.ok("federation", "set-poll-interval", did, "30");
  expect(await json<Pair>(home, "federation", "show", did)).toMatchObject({
    threads: ["th_only"],
    mode: "on-demand",
    interval_s: 30,
  });
  await home.ok("federation", "revoke", did, "--yes");
  expect(await pairs(home)).toEqual([]);
  expect((await peer.spl("sync")).stderr).toContain("it is not paired with this instance");
}, 60_000);

test.each([
  ["from the directory", true],
  ["from the first call of the new home", false],
])("a peer that slept through the move learns of it %s", async (_, listed) => {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await Machine.serving("", { flags: ["--directory"] }));
  const config = listed ? `directory = "${directory.url}"` : "";
  const { a, b } = await pairUp(stack, [config, config]);
  await a.daemon.emit({ thread: "th_a", act: "DO", actor: "did:sync:user:alice", body: {} });
  const port = b.daemon.port;
  await b.stop();
  const bundle = join(a.home.path, "a.tar.zst");
  await a.ok("export", "--out", bundle);
  await a.daemon.end("SIGKILL");
  const moved = stack.use(await Machine.serving(config));
  await moved.ok("import", bundle);

  if (listed) {
    await b.serve(config, { port });
  } else {
    // By itself it would tell the peer within a second of its return.
    const again = { port: moved.daemon.port };
    await moved.stop();
    await b.serve(config, { port });
    const lost = await b.spl("sync");
    expect(lost.status).toBe(3);
    expect((await pairs(b))[0]).toMatchObject({ url: a.url, state: "degraded" });
    await moved.serve(config, again);
    await moved.ok("sync");
  }
  await b.ok("sync");
  expect(await pairs(b)).toMatchObject([{ url: moved.url, state: "active", problem: null }]);
  expect(await b.ok("thread", "list")).toContain("th_a");
});

test("a peer that is nowhere to be found is named with what to type, and its new address can be told by hand", async () => {
  await using stack = new AsyncDisposableStack();
  const { a, b } = await pairUp(stack);
  const did = await didOf(b);
  await b.stop();
  const refresh = await a.spl("federation", "refresh", did);
  expect([refresh.status, refresh.stdout]).toEqual([3, ""]);
  expect(refresh.stderr).toContain("connection refused; spl federation pair URL tells where it lives");
  await a.spl("sync");
  const [pair] = (await pairs(a)) as [Pair];
  expect(pair.problem).toContain(`connection refused; spl federation refresh ${did}`);
  // What a script reads is what a person sees.
  expect(pair.state).toBe("degraded");
  expect(await json<Pair>(a, "federation", "show", did)).toEqual(pair);
  expect(await a.ok("federation", "list")).toContain(" degraded ");
  const { stdout: doctor } = await a.spl("doctor");
  expect(doctor).toMatch(
    new RegExp(`1 of 1 pair degraded, first ${did}, (?:never synced|last synced \\S+Z): cannot reach`),
  );
  expect(doctor).toMatch(new RegExp(`^PASS {2}clock {8}within \\d+ s of ${b.url}$`, "m"));
  await b.serve();
  await a.ok("federation", "pair", b.url);
  expect(await pairs(a)).toMatchObject([{ peer_did: did, url: b.url }]);
  await a.ok("sync");
  expect(await pairs(a)).toMatchObject([{ state: "active", problem: null }]);
});
