import { readFileSync, statSync } from "node:fs";
import type { MintedToken } from "../../lib/api/wire.ts";
import { Box } from "../kit/box.ts";
import { Front } from "../kit/front.ts";
import { BOOTSTRAP, boxAt, Hosted } from "../kit/hosted.ts";
import { HostingProcess } from "../kit/hosting.ts";
import { splBinary } from "../kit/spl.ts";
import type { Run } from "./bench.ts";

/** What a hosting service costs beside its instances alone. */

/** Bodies of random text, which no compression makes small: a bundle of about 1 GiB. */
const RECORDS = 16_000;
const BODY_BYTES = 65_000;
const ROUNDS = 3;

/**
 * A bundle of 1 GiB on its way into an instance, which verifies all of it and keeps nothing: through the proxy, and
 * directly. The proxy runs in this process.
 */
export async function proxied(
  run: (command: string[], env: Record<string, string>) => Promise<Run>,
  compare: (
    what: string,
    rounds: number,
    ours: () => Promise<Run>,
    theirs: () => Promise<Run>,
    wanted: string,
  ) => Promise<void>,
): Promise<void> {
  await using source = await Box.serving();
  await source.emit(largeRecords());
  const bundle = source.file("bundle.tar.zst");
  await source.ok("export", "--out", bundle);
  await using instance = await Hosted.start();
  await using front = new Front({ origin: instance.url });
  await using through = boxAt(front.url);
  await through.ok("token", "save", BOOTSTRAP);
  await using direct = boxAt(instance.url);
  const minted = await through.json<MintedToken>("token", "create", "--bootstrap");
  await direct.ok("token", "save", minted.token);
  const upload = [splBinary(), "import", "--dry-run", bundle];
  await compare(
    `upload of ${(statSync(bundle).size / 2 ** 30).toFixed(2)} GiB, spl import --dry-run through the proxy against directly`,
    ROUNDS,
    () => run(upload, through.home.env),
    () => run(upload, direct.home.env),
    "wanted: at most 1.10",
  );
  const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))![1]) / 1024;
  console.log(`peak memory of the process with the proxy: ${peak.toFixed(0)} MB`);
}

function* largeRecords(): Generator<object> {
  for (let i = 0; i < RECORDS; i++) {
    const text = crypto.getRandomValues(new Uint8Array(BODY_BYTES)).toBase64();
    yield { thread: `th_${i % 40}`, actor: "did:sync:user:alice", act: "DO", body: { text } };
  }
}

const WAKES = 15;
const SLEEPERS = 200;

/** From the wish to an instance that is ready, from sleep to the first byte, and what many that sleep cost. */
export async function hosting(median: (values: number[]) => number): Promise<void> {
  const many = `${SLEEPERS + 1}`;
  const flags = ["--max-per-owner", many, "--max-instances", many, "--trusted-proxy", "127.0.0.0/8"];
  await using service = await HostingProcess.start(...flags);
  const before = service.processes().length;
  const operator = (path: string) =>
    fetch(`http://localhost/v1/host/instances/${path}`, { method: "POST", unix: service.socket });
  const ready: number[] = [];
  const wakes: number[] = [];
  for (let i = 0; i < SLEEPERS; i++) {
    // Each visitor from another address: one alone may not begin so many.
    const visitor = service.visitor({ "x-forwarded-for": `10.0.${i >> 8}.${i & 255}` });
    const label = `sleeper-${i}`;
    const began = performance.now();
    const { url } = await visitor.instance(label);
    ready.push(performance.now() - began);
    for (let round = i < WAKES ? 2 : 1; round > 0; round--) {
      await operator(`${label}/sleep`);
      if (round === 1) continue;
      const asleep = performance.now();
      await (await fetch(`${url}/health`)).arrayBuffer();
      wakes.push(performance.now() - asleep);
    }
  }
  console.log(
    `from submit to ready: ${median(ready).toFixed(0)} ms, median of ${SLEEPERS} (wanted: under 1000)`,
  );
  console.log(
    `from sleep to the first answer: ${median(wakes).toFixed(0)} ms, median of ${WAKES} (wanted: under 300)`,
  );
  console.log(
    `${SLEEPERS} sleeping instances: ${service.processes().length - before} processes more than none (wanted: 0)`,
  );
}
