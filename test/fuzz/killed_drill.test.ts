import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { homePaths } from "../../lib/base/home.ts";
import { keptReceipts } from "../../lib/drill/receipts.ts";
import { PHASES } from "../../lib/drill/types.ts";
import { Box } from "../kit/box.ts";
import { scratchInstances } from "../kit/drills.ts";
import { runCommand, runSpl } from "../kit/spl.ts";
import { until } from "../kit/until.ts";

setDefaultTimeout(120_000);

/** A drill in a process of its own, which is killed as the phase begins: `argv` holds the socket and the phase. */
const KILLED = `
import { drill } from "./lib/drill/drill.ts";
import { InstanceClient } from "./lib/client/instance_client.ts";
const [socket, end] = process.argv.slice(-2);
const client = new InstanceClient({ url: "http://localhost", socket, token: null, from: "local daemon" });
await drill({ kind: "instance", name: socket, client }, {
  env: process.env, clock: Date.now, keep: false, signal: new AbortController().signal,
  onPhase: (phase) => { if (phase === end) process.kill(process.pid, "SIGKILL"); },
});
`;

test("killed as any phase begins: no receipt, the live instance as it was, and the next drill tidies up", async () => {
  await using box = await Box.serving();
  await box.emit([1, 2, 3].map((n) => ({ thread: "th_a", act: "DO", body: { n } })));
  const scratch = box.file("t");
  mkdirSync(scratch);
  const { socket } = homePaths(box.home.env.SYNCROPEL_HOME!);
  const env = { ...box.home.env, TMPDIR: scratch };
  const root = join(import.meta.dir, "..", "..");
  const standing = async () => {
    const { uptime_s: _, ...status } = await box.json("status");
    return status;
  };
  const before = await standing();
  let drilled = 0;
  for (const phase of PHASES.filter((each) => each !== "read")) {
    const { status } = await runCommand([process.execPath, "-e", KILLED, socket, phase], { cwd: root, env });
    expect([phase, status]).toEqual([phase, 137]);
    expect(readdirSync(scratch)).toHaveLength(1);
    await until(
      async () => scratchInstances(scratch),
      (running) => running.length === 0,
    );
    expect(keptReceipts(box.home.env, null)).toHaveLength(drilled);
    expect(await runSpl(["drill"], { home: box.home, env })).toEqual({ stdout: "", stderr: "", status: 0 });
    drilled++;
    expect(readdirSync(scratch)).toEqual([]);
    expect(await standing()).toEqual(before);
  }
});
