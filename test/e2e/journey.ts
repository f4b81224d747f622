/**
 * The main job, whole: `bun run journey`. Steps 1, 2, 5, 6 and 8 of the journey with the compiled binary, on two
 * homes and on real data, this repository's own history. It prints what a person would see, and fails unless both
 * sides end with equal digests and byte-identical bundles.
 */
import { renameSync } from "node:fs";
import { join } from "node:path";
import { historyLines } from "../kit/history.ts";
import { type RunResult, runCommand, ScratchHome, splBinary } from "../kit/spl.ts";

const repository = join(import.meta.dir, "..", "..");

/** One machine of the story. Both lie in one folder, as `~` of one person would. */
class Machine implements Disposable {
  readonly home = new ScratchHome();
  constructor(readonly name: string) {}

  /** Types a line at this machine's shell, with `spl` on its path, and shows what comes of it. */
  async type(line: string): Promise<string> {
    console.log(`\n${this.name}$ ${line}`);
    const { stdout, stderr, status } = await this.run(line);
    process.stdout.write(stderr + stdout);
    if (status !== 0) throw new Error(`the command ended with status ${status}`);
    return stdout;
  }

  run(line: string): Promise<RunResult> {
    return runCommand(["bash", "-o", "pipefail", "-c", line], {
      cwd: this.home.path,
      env: { ...this.home.env, PATH: `${join(splBinary(), "..")}:${this.home.env.PATH}` },
    });
  }

  async json<T = Record<string, unknown>>(line: string): Promise<T> {
    return JSON.parse((await this.run(`${line} -o json`)).stdout) as T;
  }

  [Symbol.dispose](): void {
    this.home[Symbol.dispose]();
  }
}

function step(title: string): void {
  console.log(`\n── ${title} ${"─".repeat(Math.max(0, 76 - title.length))}`);
}

function proves(what: string, a: unknown, b: unknown): void {
  if (!Bun.deepEquals(a, b, true))
    throw new Error(`${what} differ: ${JSON.stringify(a)} and ${JSON.stringify(b)}`);
  console.log(`✓ ${what} are equal: ${String(a)}`);
}

async function journey(laptop: Machine, hosted: Machine): Promise<void> {
  step("Before: a laptop with some real state, this repository's history");
  await laptop.type("spl serve --daemon --port 0");
  await Bun.write(join(laptop.home.path, "history.ndjson"), await historyLines(repository));
  await laptop.type("spl emit history.ndjson");

  step("1. Inspect what you're migrating");
  for (const line of ["spl status", "spl thread list", "spl federation list", "spl actor list"])
    await laptop.type(line);

  step("2. Export the local instance");
  await laptop.type("spl export --out ~/migration.tar.zst");
  await laptop.type("spl bundle ls ~/migration.tar.zst | head");

  step("5. Import the bundle into a fresh instance on another machine");
  await hosted.type("spl serve --daemon --port 0");
  // The file moves between the machines as scp would move it.
  await Bun.write(
    join(hosted.home.path, "migration.tar.zst"),
    Bun.file(join(laptop.home.path, "migration.tar.zst")),
  );
  await hosted.type("spl import ~/migration.tar.zst");

  step("6. Verify the round-trip");
  for (const line of ["spl status", "spl thread list | head -10", "spl federation list", "spl actor list"]) {
    await hosted.type(line);
  }
  const [there, here] = [await laptop.json("spl status"), await hosted.json("spl status")];
  proves("DIDs", there.instance_did, here.instance_did);
  proves("digests", there.digest, here.digest);
  const threads = await laptop.json<{ thread: string }[]>("spl thread list");
  for (const { thread } of threads) {
    const line = `spl thread records ${thread} | sha256sum`;
    proves(
      `hashes of ${thread}`,
      (await laptop.run(line)).stdout.trim(),
      (await hosted.run(line)).stdout.trim(),
    );
  }
  await hosted.type("spl export --out ~/back.tar.zst");
  const sum = async (machine: Machine, file: string) =>
    (await machine.run(`sha256sum < ~/${file}`)).stdout.split(" ")[0];
  proves(
    "bundles, byte for byte,",
    await sum(laptop, "migration.tar.zst"),
    await sum(hosted, "back.tar.zst"),
  );
  await hosted.type("spl diff ~/migration.tar.zst ~/back.tar.zst");

  step("8. Decommission the local instance");
  await laptop.type("spl serve --stop");
  await laptop.type('mv "$SYNCROPEL_HOME" "$SYNCROPEL_HOME.archived-$(date +%Y%m%d)"');

  step("And back again: spl serve --daemon to boot fresh, spl import to populate, done");
  renameSync(join(hosted.home.path, "back.tar.zst"), join(laptop.home.path, "back.tar.zst"));
  await laptop.type("spl serve --daemon --port 0");
  await laptop.type("spl import ~/back.tar.zst");
  const again = await laptop.json("spl status");
  proves("digests", again.digest, here.digest);
  proves("DIDs", again.instance_did, here.instance_did);
  await laptop.type("spl export --out ~/again.tar.zst");
  proves("bundles, byte for byte,", await sum(laptop, "back.tar.zst"), await sum(laptop, "again.tar.zst"));
}

using laptop = new Machine("laptop");
using hosted = new Machine("hosted");
let status = 0;
try {
  await journey(laptop, hosted);
  console.log("\n✓ The journey is complete: equal digests, byte-identical bundles, both ways.");
} catch (error) {
  status = 1;
  console.error(`\n✗ ${error instanceof Error ? error.message : error}`);
} finally {
  for (const machine of [laptop, hosted]) await machine.run("spl serve --stop");
}
process.exitCode = status;
