/**
 * The main job, whole: `bun run journey`. All steps of the journey with the compiled binary: a laptop with real data (this
 * repository's own history), a hosting service on this machine, a phone. It prints what a person would see, and fails
 * unless all sides end with equal digests and byte-identical bundles.
 */
import { join } from "node:path";
import { historyLines } from "../kit/history.ts";
import { HostingProcess, type Provision } from "../kit/hosting.ts";
import { type RunResult, runCommand, ScratchHome, splBinary } from "../kit/spl.ts";

const repository = join(import.meta.dir, "..", "..");

/** One machine of the story, with a shell. */
class Machine implements Disposable {
  readonly home = new ScratchHome();
  /** What its shell has exported. */
  readonly exported: Record<string, string> = {};
  constructor(readonly name: string) {}

  /** `export NAME=value`, as it is typed. */
  export(line: string): void {
    console.log(`\n${this.name}$ ${line}`);
    const [, name, value] = /^export (\w+)=(\S+)$/.exec(line)!;
    this.exported[name!] = value!;
  }

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
      env: { ...this.home.env, ...this.exported, PATH: `${join(splBinary(), "..")}:${this.home.env.PATH}` },
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

/** What `/start` does in a browser, with the phases as they come in. */
async function provision(hosting: HostingProcess, label: string): Promise<Provision> {
  const visitor = hosting.visitor();
  const { id } = await visitor.begin(label);
  const last = (await visitor.settled(id)).at(-1)!;
  for (const { phase, state, took_ms } of last.phases)
    console.log(`  ${phase.padEnd(10)} ${state} ${took_ms} ms`);
  if (last.state !== "ready") throw new Error(`the instance is ${last.state}: ${last.failure?.message}`);
  return last;
}

async function journey(laptop: Machine, phone: Machine, hosting: HostingProcess): Promise<void> {
  step("Before: a laptop with some real state, this repository's history");
  await laptop.type("spl serve --daemon --port 0");
  await Bun.write(join(laptop.home.path, "history.ndjson"), await historyLines(repository));
  await laptop.type("spl emit history.ndjson");

  step("1. Inspect what you're migrating");
  for (const line of ["spl status", "spl thread list", "spl federation list", "spl actor list"])
    await laptop.type(line);
  const before = await laptop.json("spl status");

  step("2. Export the local instance");
  await laptop.type("spl export --out ~/migration.tar.zst");
  await laptop.type("spl bundle ls ~/migration.tar.zst | head");

  step(`3. Provision a hosted instance: ${hosting.url}/start`);
  const instance = await provision(hosting, "myteam");
  const { url, token } = await hosting.visitor().reveal(instance);

  step("4. Connect your CLI to the hosted instance");
  laptop.export(`export SPL_SERVE_URL=${url}`);
  await laptop.type(`spl token save ${token}`);
  await laptop.type("spl status");

  step("5. Import the bundle into the hosted instance");
  await laptop.type("spl import ~/migration.tar.zst");

  step("6. Verify the round-trip");
  for (const line of ["spl status", "spl thread list | head -10", "spl federation list", "spl actor list"]) {
    await laptop.type(line);
  }
  const hosted = await laptop.json("spl status");
  proves("DIDs", before.instance_did, hosted.instance_did);
  proves("digests", before.digest, hosted.digest);
  const threads = await laptop.json<{ thread: string }[]>("spl thread list");
  for (const { thread } of threads) {
    const line = `spl thread records ${thread} | sha256sum`;
    const local = `SPL_SERVE_URL=${before.url} ${line}`;
    proves(
      `hashes of ${thread}`,
      (await laptop.run(local)).stdout.trim(),
      (await laptop.run(line)).stdout.trim(),
    );
  }
  await laptop.type("spl export --out ~/back.tar.zst");
  const sum = async (file: string) => (await laptop.run(`sha256sum < ~/${file}`)).stdout.split(" ")[0];
  proves("bundles, byte for byte,", await sum("migration.tar.zst"), await sum("back.tar.zst"));
  await laptop.type("spl diff ~/migration.tar.zst ~/back.tar.zst");

  step("7. Pair a second device");
  console.log(`\nlaptop$ spl pair --device "iPhone" --url ${url} --scopes records:write`);
  const { link } = await laptop.json<{ link: string }>(
    `spl pair --device "iPhone" --url ${url} --scopes records:write`,
  );
  await phone.type(`spl pair --accept '${link}'`);
  phone.export(`export SPL_SERVE_URL=${url}`);
  await phone.type('spl know "written on the way" --thread th_phone');

  step("8. Decommission the local instance");
  const home = "SPL_SERVE_URL= ";
  await laptop.type(`${home}spl serve --stop`);
  await laptop.type('mv "$SYNCROPEL_HOME" "$SYNCROPEL_HOME.archived-$(date +%Y%m%d)"');

  step("And back again: spl serve --daemon to boot fresh, spl import to populate, done");
  await laptop.type("spl export --force --out ~/back.tar.zst");
  const last = await laptop.json("spl status");
  await laptop.type(`${home}spl serve --daemon --port 0`);
  await laptop.type(`${home}spl import ~/back.tar.zst`);
  const again = await laptop.json(`${home}spl status`);
  proves("digests", again.digest, last.digest);
  proves("DIDs", again.instance_did, before.instance_did);
  await laptop.type(`${home}spl export --out ~/again.tar.zst`);
  proves("bundles, byte for byte,", await sum("back.tar.zst"), await sum("again.tar.zst"));
}

using laptop = new Machine("laptop");
using phone = new Machine("phone");
await using hosting = await HostingProcess.start();
let status = 0;
try {
  await journey(laptop, phone, hosting);
  console.log("\n✓ The journey is complete: equal digests, byte-identical bundles, both ways.");
} catch (error) {
  status = 1;
  console.error(`\n✗ ${error instanceof Error ? error.message : error}`);
} finally {
  await laptop.run("SPL_SERVE_URL= spl serve --stop");
}
process.exitCode = status;
