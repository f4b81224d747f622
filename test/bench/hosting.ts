import { readFileSync, statSync } from "node:fs";
import type { MintedToken } from "../../lib/api/wire.ts";
import { Box } from "../kit/box.ts";
import { Front } from "../kit/front.ts";
import { BOOTSTRAP, boxAt, Hosted } from "../kit/hosted.ts";
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
