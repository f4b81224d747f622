/**
 * What it costs, beside what a user would take instead, in one run: `bun run bench [NAME…]`. Each pair runs in turn
 * (ours, theirs, ours, …) after one uncounted round; rows show medians and the median of the pairwise ratios.
 * Peers are Debian's restic, tar and zstd.
 */
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { Box } from "../kit/box.ts";
import { splBinary } from "../kit/spl.ts";
import { delivering, syncing } from "./federation.ts";
import { hosting, proxied } from "./hosting.ts";
import { recovering } from "./recover.ts";

export interface Run {
  /** Milliseconds from start to end. */
  ms: number;
  /** Peak resident memory of the process in MB. */
  mb: number;
}

async function run(command: string[], env: Record<string, string> = {}, cwd = "/"): Promise<Run> {
  const began = performance.now();
  const child = Bun.spawn(command, {
    env: { PATH: process.env.PATH!, ...env },
    cwd,
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const error = await child.stderr.text();
  const status = await child.exited;
  const ms = performance.now() - began;
  if (status !== 0) throw new Error(`${command.join(" ")} ended with ${status}: ${error.trim()}`);
  return { ms, mb: child.resourceUsage()!.maxRSS / 1e6 };
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Runs with nothing of the run before left to be written back: a durable command would wait for that as well. */
async function settled(measured: () => Promise<Run>): Promise<Run> {
  await run(["sync"]);
  return measured();
}

/** Runs both in turn and prints one row. `wanted` says what the ratio ours/theirs should be. */
async function compare(
  what: string,
  rounds: number,
  ours: () => Promise<Run>,
  theirs: () => Promise<Run>,
  wanted: string,
) {
  const pairs: [Run, Run][] = [];
  for (let round = 0; round <= rounds; round++) {
    const pair: [Run, Run] = [await settled(ours), await settled(theirs)];
    if (round > 0) pairs.push(pair);
  }
  const [a, b] = [median(pairs.map(([x]) => x.ms)), median(pairs.map(([, y]) => y.ms))];
  const ratio = median(pairs.map(([x, y]) => x.ms / y.ms));
  console.log(
    `${what}: ${a.toFixed(1)} ms against ${b.toFixed(1)} ms, ratio ${ratio.toFixed(2)} (${wanted}), ${rounds} rounds`,
  );
}

/** Records of about 400 canonical bytes, spread over threads as real writing is. */
async function fillBox(box: Box, records: number): Promise<void> {
  const threads = Math.ceil(records / 200);
  await box.emit(
    (function* () {
      for (let i = 0; i < records; i++) {
        yield {
          thread: `th_${(i * 7919) % threads}`,
          actor: "did:sync:user:alice",
          act: "DO",
          body: {
            text: `record number ${i}`,
            at: new Date(1.7e12 + i * 1000).toISOString(),
            note: Bun.hash(`${i}`).toString(36).repeat(4),
          },
        };
      }
    })(),
  );
}

/** Peak resident memory in MB of a box's daemon so far. */
async function daemonPeak(box: Box): Promise<number> {
  const { pid } = await box.json<{ pid: number }>("status");
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) / 1024;
}

async function version(): Promise<void> {
  const spl = splBinary();
  const restic = Bun.which("restic");
  if (restic === null) return console.log("start-up: restic is not here (apt-get install restic)");
  await compare(
    "start-up, spl --version against restic version",
    40,
    () => run([spl, "--version"]),
    () => run([restic, "version"]),
    "wanted: at most 1.0",
  );
}

async function moving(): Promise<void> {
  await using box = await Box.serving();
  await fillBox(box, 100_000);
  const spl = splBinary();
  const bundle = box.file("bundle.tar.zst");
  const env = box.home.env;
  await run([spl, "export", "--out", bundle], env);
  const files = box.file("files");
  mkdirSync(files);
  await run(["tar", "--zstd", "-xf", bundle, "-C", files, "records"]);
  await compare(
    "export of 100,000 records, spl export against tar --zstd of the same files",
    5,
    () => run([spl, "export", "--force", "--out", box.file("out.tar.zst")], env),
    () => run(["tar", "--zstd", "-cf", box.file("files.tar.zst"), "-C", files, "records"]),
    "wanted: at most 0.67",
  );
  let n = 0;
  await using boxes = new AsyncDisposableStack();
  const fresh: Box[] = [];
  for (let i = 0; i < 6; i++) fresh.push(boxes.use(await Box.serving()));
  await compare(
    "import of them, spl import against tar -x of the same files",
    5,
    () => run([spl, "import", bundle], fresh.pop()!.home.env),
    () => {
      const folder = box.file(`extracted-${n++}`);
      mkdirSync(folder);
      return run(["tar", "--zstd", "-xf", box.file("files.tar.zst"), "-C", folder]);
    },
    "wanted: at most 1.0",
  );
}

async function memory(): Promise<void> {
  const peaks: Record<string, number>[] = [];
  for (const records of [100_000, 1_000_000]) {
    await using box = await Box.serving();
    await fillBox(box, records);
    rmSync(box.file("emit.ndjson"));
    await box.stop();
    await box.serve();
    const bundle = box.file("bundle.tar.zst");
    const exported = await run([splBinary(), "export", "--out", bundle], box.home.env);
    const exporting = await daemonPeak(box);
    await using host = await Box.serving();
    const imported = await run([splBinary(), "import", bundle], host.home.env);
    const importing = await daemonPeak(host);
    peaks.push({
      "export, daemon": exporting,
      "export, command": exported.mb,
      "import, daemon": importing,
      "import, command": imported.mb,
    });
    console.log(
      `${records} records: export ${(exported.ms / 1000).toFixed(1)} s, import ${(imported.ms / 1000).toFixed(1)} s`,
    );
  }
  for (const [what, small] of Object.entries(peaks[0]!)) {
    const large = peaks[1]![what]!;
    console.log(
      `peak memory of ${what}: ${small.toFixed(0)} MB at 100,000 and ${large.toFixed(0)} MB at 1,000,000 records, ratio ${(large / small).toFixed(2)} (wanted: at most 1.30)`,
    );
  }
}

const BENCHES: Record<string, () => Promise<void>> = {
  version,
  moving,
  memory,
  recover: () => recovering(run, compare, fillBox),
  syncing: () => syncing(fillBox),
  delivering,
  proxy: () => proxied(run, compare),
  hosting: () => hosting(median),
};
const names = process.argv.slice(2);
for (const name of names.length > 0 ? names : Object.keys(BENCHES)) {
  const bench = BENCHES[name];
  if (!bench) throw new Error(`there is no bench ${name}; there are ${Object.keys(BENCHES).join(", ")}`);
  await bench();
}
