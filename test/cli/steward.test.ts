import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Statement } from "../../lib/identity/statement.ts";
import { Daemon } from "../kit/daemon.ts";
import { Machine } from "../kit/machine.ts";
import { ScratchHome } from "../kit/spl.ts";

const directoryLine = (url: string) => `directory = "${url}"`;

/** A directory, and a machine with a record in it that publishes there. */
async function beginning(stack: AsyncDisposableStack) {
  const folder = stack.use(new ScratchHome());
  const directory = stack.use(await Machine.serving("", { flags: ["--directory"] }));
  const config = directoryLine(directory.url);
  const laptop = stack.use(await Machine.serving(config));
  await laptop.ok("intend", "move house");
  const bundle = join(folder.path, "laptop.tar.zst");
  await laptop.ok("export", "--out", bundle);
  return { directory, config, laptop, bundle };
}

async function listed(directory: Machine, did: string): Promise<Statement> {
  return (await directory.daemon.json(`/directory/${encodeURIComponent(did)}`)) as unknown as Statement;
}

const emission = { thread: "th_a", act: "DO", actor: "did:sync:user:alice", body: {} };

test("a home whose identity was imported elsewhere becomes read-only, says where it went, and can take it back", async () => {
  await using stack = new AsyncDisposableStack();
  const { directory, config, laptop, bundle } = await beginning(stack);
  const before = await laptop.status();
  expect(await listed(directory, before.instance_did)).toMatchObject({
    url: laptop.url,
    epoch: before.epoch,
  });

  const server = stack.use(await Machine.serving(config));
  await server.ok("import", bundle);
  const there = await server.status();
  expect(there).toMatchObject({ instance_did: before.instance_did, state: "active", moved_to: null });
  expect(there.epoch).toBeGreaterThan(before.epoch);
  // Told before the import was answered.
  expect(await listed(directory, before.instance_did)).toMatchObject({ url: server.url, epoch: there.epoch });

  const left = await laptop.until(({ state }) => state !== "active");
  expect(left).toMatchObject({ state: "superseded", moved_to: server.url });
  const refused = await laptop.spl("intend", "write on");
  expect([refused.status, refused.stdout]).toEqual([5, ""]);
  expect(refused.stderr).toBe(
    `this identity moved to ${server.url} (${new Date(there.epoch).toISOString()}): this home is read-only; write there, or spl serve --stop, then spl serve --reclaim to take it back here\n`,
  );
  expect((await laptop.spl("import", bundle)).stderr).toContain("this home is read-only");
  expect(await laptop.ok("status")).toContain(`superseded: moved to ${server.url}`);
  expect(await laptop.ok("identity", "show")).toContain(`superseded: moved to ${server.url}`);
  expect((await laptop.spl("doctor")).stdout).toContain(`the identity moved to ${server.url}`);
  await laptop.ok("export", "--out", join(laptop.home.path, "last.tar.zst"));
  await laptop.ok("verify", join(laptop.home.path, "last.tar.zst"));
  expect((await laptop.ok("audit")).match(/identity\.superseded/g)).toHaveLength(1);

  // It knows from its very start, and a start alone takes nothing back.
  await laptop.stop();
  await laptop.serve(config);
  expect((await laptop.daemon.emit(emission)).status).toBe(409);
  await laptop.stop();
  await laptop.serve(config, { flags: ["--reclaim"] });
  const back = await laptop.status();
  expect(back).toMatchObject({ state: "active", moved_to: null });
  expect(back.epoch).toBeGreaterThan(there.epoch);
  expect((await laptop.daemon.emit(emission)).status).toBe(201);
  expect(await server.until(({ state }) => state !== "active")).toMatchObject({ moved_to: laptop.url });
  expect((await server.daemon.emit(emission)).status).toBe(409);
  expect((await laptop.ok("audit")).match(/identity\.reclaimed/g)).toHaveLength(1);
}, 60_000);

test("without a directory, a peer of both homes tells the one from the other", async () => {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(new ScratchHome());
  const laptop = stack.use(await Machine.serving());
  const peer = stack.use(await Machine.serving());
  await say(laptop, (await peer.status()).instance_did, peer.url);
  await say(peer, (await laptop.status()).instance_did, laptop.url);
  // It says once where it lives before it moves, as any of its requests would.
  const statement = ((await laptop.daemon.json("/.well-known/syncropel")) as { statement: object }).statement;
  expect((await peer.daemon.post("/federation/v1/statement", statement)).status).toBe(200);
  const bundle = join(folder.path, "laptop.tar.zst");
  await laptop.ok("export", "--out", bundle);

  const server = stack.use(await Machine.serving());
  await server.ok("import", bundle);
  const [pair] = (await peer.daemon.json<{ url: string }[]>("/v1/federation/pairs")) as [{ url: string }];
  expect(pair.url).toBe(server.url);
  expect(await laptop.until(({ state }) => state !== "active")).toMatchObject({ moved_to: server.url });
  expect((await laptop.daemon.emit(emission)).status).toBe(409);
  expect((await server.daemon.emit(emission)).status).toBe(201);

  expect(await server.ok("identity", "revoke", "--yes")).toContain(
    "directory:  none\n  peers:      1 of 1 pair told\n",
  );
  expect(await peer.daemon.json<unknown[]>("/v1/federation/pairs")).toEqual([]);
  await laptop.until(({ state }) => state === "revoked");
}, 60_000);

/** The first says by record that it is paired with a DID at a URL. */
async function say(machine: Machine, peer_did: string, url: string): Promise<void> {
  const { instance_did: actor } = await machine.status();
  const body = { topic: "pair", peer_did, url, state: "active" };
  await machine.daemon.emit({ thread: "th_federation_pairs", act: "LEARN", actor, body });
}

describe("without a directory, an identity that was revoked", () => {
  test("is not adopted from an older bundle where a peer that it names knows of its end", async () => {
    await using stack = new AsyncDisposableStack();
    const folder = stack.use(new ScratchHome());
    const laptop = stack.use(await Machine.serving());
    const peer = stack.use(await Machine.serving());
    const { instance_did: did } = await laptop.status();
    await say(laptop, (await peer.status()).instance_did, peer.url);
    await say(peer, did, laptop.url);
    const bundle = join(folder.path, "laptop.tar");
    await laptop.ok("export", "--out", bundle);
    await laptop.ok("identity", "revoke", "--yes");

    const fresh = stack.use(await Machine.serving());
    const before = await fresh.status();
    for (const more of [["--dry-run"], []]) {
      const { status, stdout, stderr } = await fresh.spl("import", bundle, ...more);
      expect([status, stdout]).toEqual([5, expect.not.stringContaining("complete")]);
      expect(stderr).toContain(`${did} was revoked (`);
    }
    expect(await fresh.status()).toMatchObject({
      instance_did: before.instance_did,
      records: 0,
      state: "active",
    });
    // To ask changes nothing at the peer.
    expect(await peer.daemon.json<unknown[]>("/v1/federation/pairs")).toEqual([]);
  }, 60_000);

  test("is told by the import that adopted it where a peer told it too late", async () => {
    await using stack = new AsyncDisposableStack();
    const folder = stack.use(new ScratchHome());
    const laptop = stack.use(await Machine.serving());
    let ended: object = {};
    const late = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: ({ method }) => (method === "POST" ? Response.json(ended) : new Response("", { status: 503 })),
    });
    stack.defer(() => late.stop(true));
    await say(laptop, "did:sync:instance:late", `http://127.0.0.1:${late.port}`);
    const bundle = join(folder.path, "laptop.tar");
    await laptop.ok("export", "--out", bundle);
    await laptop.ok("identity", "revoke", "--yes");
    ended = ((await laptop.daemon.json("/.well-known/syncropel")) as { statement: object }).statement;

    const fresh = stack.use(await Machine.serving());
    const told = await fresh.spl("import", bundle, "-o", "json");
    expect(JSON.parse(told.stdout)).toMatchObject({
      identity: "adopted",
      problem: expect.stringContaining("this identity was revoked ("),
    });
    expect(told.status).toBe(1);
    expect(told.stderr).toContain("this identity was revoked (");
    expect(told.stderr).toContain("spl rollback 1 takes it back");
  }, 60_000);
});

test("two homes that use one address in turn are told apart", async () => {
  await using stack = new AsyncDisposableStack();
  const { config, laptop, bundle } = await beginning(stack);
  const wellKnown = async (machine: Machine) =>
    (await (await machine.daemon.tcp("/.well-known/syncropel")).json()) as { statement: Statement };
  const { statement: first } = await wellKnown(laptop);
  const { port } = laptop.daemon;
  await laptop.stop();

  const server = stack.use(await Machine.serving(config, { port }));
  await server.ok("import", bundle);
  const { statement: second } = await wellKnown(server);
  expect([second.did, second.url]).toEqual([first.did, first.url]);
  expect(second.steward_id).not.toBe(first.steward_id);
  expect(second.epoch).toBeGreaterThan(first.epoch);
  await server.stop();

  // The first thing that it could write is refused already.
  await laptop.serve(config, { port });
  expect((await laptop.daemon.emit(emission)).status).toBe(409);
  expect(await laptop.status()).toMatchObject({ state: "superseded", moved_to: first.url });
  const place = `moved to another home at the same address, ${first.url} (`;
  expect(await laptop.ok("status")).toContain(`superseded: ${place}`);
  expect(await laptop.ok("identity", "show")).toContain(`superseded: ${place}`);
  expect((await laptop.spl("intend", "write on")).stderr).toContain(`this identity ${place}`);
  expect((await laptop.spl("doctor")).stdout).toContain(`the identity ${place}`);
  expect(readFileSync(laptop.daemon.paths.log, "utf8")).toContain(
    `superseded to="another home at the same address, ${first.url}"`,
  );
}, 60_000);

test("an identity that is revoked ends in all its homes and cannot be taken back", async () => {
  await using stack = new AsyncDisposableStack();
  const { directory, config, laptop, bundle } = await beginning(stack);
  const server = stack.use(await Machine.serving(config));
  await server.ok("import", bundle);
  await laptop.until(({ state }) => state === "superseded");

  const asked = await laptop.spl("identity", "revoke");
  expect([asked.status, asked.stdout]).toEqual([2, ""]);
  const { instance_did: did } = await laptop.status();
  expect(asked.stderr).toBe(
    `there is no terminal to ask whether to end ${did} for ever; pass --yes to do it\n`,
  );
  // From the home that lost it: its key may have been stolen.
  expect(await laptop.ok("identity", "revoke", "--yes")).toBe(
    `✓ ${did} is revoked\n  directory:  has it\n  peers:      0 of 0 pairs told\n`,
  );
  expect(await listed(directory, did)).toMatchObject({ revoked: true });
  await server.until(({ state }) => state === "revoked");
  for (const machine of [laptop, server]) {
    expect((await machine.daemon.emit(emission)).status).toBe(409);
    expect(await machine.ok("status")).toContain("revoked (");
    await machine.ok("export", "--out", join(machine.home.path, "last.tar.zst"));
  }
  await server.stop();
  const reclaimed = await server.serve(config, { flags: ["--reclaim"] }).catch(String);
  expect(reclaimed).toContain(`${did} was revoked`);

  const fresh = stack.use(await Machine.serving(config));
  const late = await fresh.spl("import", bundle);
  expect([late.status, late.stdout]).toEqual([5, expect.not.stringContaining("adopted")]);
  expect(late.stderr).toContain(`${did} was revoked`);
  expect(await fresh.status()).toMatchObject({ records: 0 });
}, 60_000);

test("an isolated instance tells nobody and asks nobody", async () => {
  const heard: string[] = [];
  using directory = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      heard.push(`${request.method} ${new URL(request.url).pathname}`);
      return new Response("{}", { status: 404 });
    },
  });
  await using stack = new AsyncDisposableStack();
  const { bundle } = await beginning(stack);
  const config = directoryLine(`http://127.0.0.1:${directory.port}`);
  const isolated = stack.use(await Machine.serving(config, { flags: ["--isolated"] }));
  await isolated.ok("import", bundle);
  await isolated.ok("identity", "revoke", "--yes");
  await isolated.stop();
  expect(heard).toEqual([]);
  // The same on the loose is heard.
  await isolated.serve(config);
  expect(heard.length).toBeGreaterThan(0);
  const both = await isolated.spl("serve", "--isolated", "--reclaim");
  expect([both.status, both.stderr]).toEqual([
    2,
    "--reclaim does not go with --isolated: nobody would learn of it; leave out one of them\n",
  ]);
}, 60_000);

test("settings of federation that make no sense are refused when it starts", async () => {
  const refusal = async (config: string) => {
    using home = new ScratchHome();
    const started = await Daemon.start(home, { config }).catch((error: Error) => error.message);
    return typeof started === "string" ? (JSON.parse(started) as { detail: string }).detail : "started";
  };
  expect(await refusal('[federation]\nallow_networks = ["10/8"]')).toBe(
    'federation.allow_networks: "10/8" is no network',
  );
  expect(await refusal('[federation]\nauto_approve = ["*"]')).toEndWith('"*" is no DID pattern');
  expect(await refusal('directory = "ftp://directory.example"')).toContain("is no http or https URL");
  expect(await refusal("[federation]\nwatch_s = 0")).toContain("federation.watch_s");
});
