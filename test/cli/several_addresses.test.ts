import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { homePaths } from "../../lib/base/home.ts";
import { Box } from "../kit/box.ts";
import { canMakeNetworks, Network, type Place } from "../kit/network.ts";
import { pairBoxes, syncBox, whoIs } from "../kit/paired.ts";
import { runSpl } from "../kit/spl.ts";
import { until } from "../kit/until.ts";

setDefaultTimeout(120_000);

/** Machines at addresses of their own, all at port 9100: what goes to one that was cut off is lost, and not refused. */

const PORT = 9100;

interface Status {
  instance_did: string;
  state: string;
  records: number;
  moved_to: string | null;
}

async function serveAt(box: Box, { address, under }: Place, ...flags: string[]): Promise<void> {
  // Its socket is a file, so that commands are typed from anywhere.
  const args = ["serve", "--daemon", "--host", address, "--port", String(PORT), ...flags];
  const { status, stderr } = await runSpl(args, { home: box.home, under });
  if (status !== 0) throw new Error(stderr);
}

function machines(stack: AsyncDisposableStack, directory: Place) {
  return async (place: Place, ...flags: string[]): Promise<Box> => {
    const box = stack.use(new Box());
    const { home, config } = homePaths(box.home.env.SYNCROPEL_HOME!);
    mkdirSync(home, { recursive: true });
    const asked = flags.includes("--directory") ? "" : `directory = "http://${directory.address}:${PORT}"\n`;
    writeFileSync(config, `${asked}[federation]\nallow_networks = ["10.87.0.0/24"]\nwatch_s = 1\n`);
    stack.defer(async () => void (await box.spl(["serve", "--stop"])));
    await serveAt(box, place, ...flags);
    return box;
  };
}

const statusOf = (box: Box) => box.json<Status>("status");
const threadsOf = async (box: Box) =>
  (await box.json<{ thread: string }[]>("thread", "list")).map(({ thread }) => thread);
const write = (box: Box, thread: string) =>
  box.emit([{ thread, act: "DO", actor: "did:sync:user:alice", body: {} }]);

test.skipIf(!canMakeNetworks)(
  "one whose machine is lost is found at its new address; the old machine learns of it when it is back",
  async () => {
    await using stack = new AsyncDisposableStack();
    const net = stack.use(new Network());
    const [hub, old, far, fresh] = [2, 3, 4, 5].map((n) => net.place(n)) as [Place, Place, Place, Place];
    const begin = machines(stack, hub);
    const carol = await begin(hub, "--directory");
    const alice = await begin(old);
    const bob = await begin(far);
    await pairBoxes(alice, bob);
    await pairBoxes(carol, bob);
    await write(alice, "th_before");
    await bob.ok("sync");
    expect(await threadsOf(bob)).toContain("th_before");
    const bundle = alice.file("alice.tar.zst");
    await alice.ok("export", "--out", bundle);

    net.cut(old);
    await write(carol, "th_carol");
    const lost = await syncBox(bob);
    const { did, url } = await whoIs(alice);
    expect(lost.status).toBe(1);
    expect(lost.outcomes.find(({ peer_did }) => peer_did === did)!.failure).toMatchObject({
      code: "peer_unreachable",
      hint: expect.stringContaining(`spl federation refresh ${did}`),
    });
    // The others are not held up by it.
    expect(await threadsOf(bob)).toContain("th_carol");

    const moved = await begin(fresh);
    await moved.ok("import", bundle);
    await write(moved, "th_after");
    await bob.ok("sync");
    expect(await threadsOf(bob)).toContain("th_after");
    expect(await bob.ok("federation", "list")).toContain(`http://${fresh.address}:${PORT}`);

    // It knows of nothing yet, and nobody can hear what it writes.
    expect(await statusOf(alice)).toMatchObject({ state: "active", moved_to: null });
    net.join(old);
    const left = await until(
      () => statusOf(alice),
      ({ state }) => state !== "active",
    );
    expect(left).toMatchObject({ state: "superseded", moved_to: `http://${fresh.address}:${PORT}` });
    expect((await alice.spl(["intend", "write on"])).status).toBe(5);
    expect(url).toBe(`http://${old.address}:${PORT}`);
  },
);

test.skipIf(!canMakeNetworks)(
  "a laptop that comes back with another address goes on as it was paired, and gets what it missed",
  async () => {
    await using stack = new AsyncDisposableStack();
    const net = stack.use(new Network());
    const [hub, home, cafe] = [2, 3, 4].map((n) => net.place(n)) as [Place, Place, Place];
    const begin = machines(stack, hub);
    const server = await begin(hub, "--directory");
    const laptop = await begin(home);
    await pairBoxes(server, laptop, { mode: "continuous" });
    for (const box of [server, laptop]) await box.ok("sync");
    const arrives = (box: Box, thread: string) =>
      until(
        () => threadsOf(box),
        (threads) => threads.includes(thread),
      );
    await write(server, "th_at_home");
    await arrives(laptop, "th_at_home");

    // The lid is closed: its connections are still open at the other end.
    net.cut(home);
    await laptop.ok("serve", "--stop");
    await write(server, "th_missed");
    await serveAt(laptop, cafe);
    await arrives(laptop, "th_missed");
    await write(laptop, "th_from_the_cafe");
    await arrives(server, "th_from_the_cafe");
    const { did } = await whoIs(laptop);
    const pairs = await server.json<{ peer_did: string; url: string; state: string }[]>("federation", "list");
    expect(pairs).toMatchObject([{ peer_did: did, url: `http://${cafe.address}:${PORT}`, state: "active" }]);
  },
);
