import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type HomePaths, homePaths } from "../../lib/base/home.ts";
import { shellWord } from "../../lib/base/text.ts";
import { Box } from "../kit/box.ts";
import { type RunResult, runCommand, ScratchHome, splBinary } from "../kit/spl.ts";
import { canMount, TinyDisk } from "../kit/tiny_disk.ts";
import { until } from "../kit/until.ts";

setDefaultTimeout(60_000);

/** What the README says to type when something has gone wrong is typed, as it stands there, and leads back. */

const README = readFileSync(join(import.meta.dir, "../../README.md"), "utf8");
const SECTION = README.split("\n## ").find((section) => section.startsWith("A way back\n"))!;
/** Each block of commands, by the first words of the paragraph before it. */
const BLOCKS = new Map(
  [...SECTION.matchAll(/\n\n([^\n]+)(?:\n[^\n]+)*\n\n```sh\n([\s\S]+?)```/g)].map(([, words, lines]) => [
    words!,
    lines!,
  ]),
);

function blockAfter(words: string): string {
  const [found, ...more] = [...BLOCKS.keys()].filter((paragraph) => paragraph.startsWith(words));
  if (!found || more.length > 0) throw new Error(`the README has no one block behind "${words}"`);
  return BLOCKS.get(found)!;
}

interface Status {
  instance_did: string;
  records: number;
  digest: string;
}

/**
 * A person at a machine: an instance in `~/.syncro`, and a shell in which `spl` is the compiled program. Its daemons take
 * any free port, and call nobody.
 */
class Person implements AsyncDisposable {
  readonly #scratch = new ScratchHome();
  readonly folder: string;
  readonly paths: HomePaths;
  readonly #env: Record<string, string>;

  /** @param folder name of the person's home folder below the scratch folder */
  constructor(folder = "me") {
    const { path, env } = this.#scratch;
    this.folder = join(path, folder);
    this.paths = homePaths(join(this.folder, ".syncro"));
    const bin = join(path, "bin");
    for (const made of [this.folder, bin]) mkdirSync(made);
    const start = `"serve --daemon") exec "${splBinary()}" "$@" --isolated --port 0 ;;`;
    writeFileSync(
      join(bin, "spl"),
      `#!/bin/sh\ncase "$1 $2" in ${start} esac\nexec "${splBinary()}" "$@"\n`,
      { mode: 0o755 },
    );
    const { SYNCROPEL_HOME: _, ...others } = env;
    this.#env = { ...others, HOME: this.folder, PATH: `${bin}:${env.PATH}` };
  }

  /** A folder beside the home folder. */
  beside(name: string): string {
    return join(this.#scratch.path, name);
  }

  /** Makes an instance with three records, `~/backup.tar.zst`, and a record since; tells what each of them holds. */
  async work(): Promise<{ backed: Status; now: Status }> {
    await this.ok('spl serve --daemon; for n in 1 2 3; do spl do "record $n" --thread th_a; done');
    const backed = await this.status();
    await this.ok("spl export --out ~/backup.tar.zst; spl do later --thread th_a");
    return { backed, now: await this.status() };
  }

  /** Types at a shell that goes on after what failed, as a person does; the status is that of the last command. */
  type(lines: string): Promise<RunResult> {
    return runCommand(["bash", "-c", lines], { cwd: this.folder, env: this.#env });
  }

  /** Types at a terminal, and answers what is asked there. */
  answer(lines: string, answers: string): Promise<RunResult> {
    const command = ["script", "-qec", `bash -c ${shellWord(lines)}`, "/dev/null"];
    return runCommand(command, { cwd: this.folder, env: this.#env, stdin: answers });
  }

  async ok(lines: string): Promise<string> {
    const { stdout, stderr, status } = await this.type(lines);
    if (status !== 0) throw new Error(`${lines} ended with ${status}: ${stderr}`);
    return stdout;
  }

  /** @param home of the instance, where it is not `~/.syncro` */
  async status(home = this.paths.home): Promise<Status> {
    const told = JSON.parse(await this.ok(`SYNCROPEL_HOME=${shellWord(home)} spl status -o json`)) as Status;
    const { instance_did, records, digest } = told;
    return { instance_did, records, digest };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.type("spl serve --stop");
    this.#scratch[Symbol.dispose]();
  }
}

/** A daemon is ended that lost its home, and what it would remove of itself. */
function kill(pid: number): Promise<boolean> {
  process.kill(pid, "SIGTERM");
  return until(
    async () => existsSync(`/proc/${pid}`),
    (runs) => !runs,
  );
}

test("an import that went wrong", async () => {
  await using person = new Person();
  const { now } = await person.work();
  await using stranger = await Box.serving();
  await stranger.ok("do", "not mine");
  await stranger.ok("export", "--out", join(person.folder, "wrong.tar"));
  await person.ok("spl import --force-overwrite wrong.tar");
  expect(await person.status()).not.toEqual(now);
  const { stdout, status } = await person.answer(blockAfter("**An import that went wrong.**"), "y\n");
  expect({ stdout, status }).toMatchObject({ status: 0 });
  expect(stdout).toContain("✓ Back to before import 1");
  expect(await person.status()).toEqual(now);
  // The copy is where the text says, and leads forward.
  const copies = join(person.paths.home, "../../data/syncropel/rollbacks");
  expect(SECTION).toContain("`$XDG_DATA_HOME/syncropel/rollbacks`");
  const [copy] = readdirSync(copies, { recursive: true }).filter((name) => String(name).endsWith(".tar.zst"));
  await person.ok(`spl import --force-overwrite ${shellWord(join(copies, String(copy)))}`);
  expect((await person.status()).records).toBe(5);
});

test("a corrupted header of SQLite", async () => {
  await using person = new Person();
  const { backed } = await person.work();
  writeFileSync(person.paths.config, '[log]\nformat = "json"\n');
  await person.ok("spl serve --stop");
  const bytes = readFileSync(person.paths.db);
  bytes.fill(0x20, 0, 100);
  writeFileSync(person.paths.db, bytes);
  expect((await person.type("spl serve --daemon")).status).toBe(6);
  expect((await person.type("spl doctor")).stdout).toContain("FAIL");

  const { stdout, status } = await person.type(blockAfter("The store is damaged"));
  expect({ stdout, status }).toMatchObject({ status: 0 });
  expect(stdout).toContain("✓ Restored to ");
  expect(stdout).not.toContain("FAIL");
  expect(await person.status()).toEqual(backed);
  expect(readFileSync(person.paths.config, "utf8")).toContain("json");
  expect(readFileSync(join(person.folder, ".syncro.damaged", "hub.db")).equals(bytes)).toBe(true);
  expect(existsSync(join(person.folder, "rescued.tar.zst"))).toBe(false);
});

test("a store that can still be read is rescued whole", async () => {
  await using person = new Person();
  const { now } = await person.work();
  const lines = blockAfter("The store is damaged").replace("~/backup.tar.zst", "~/rescued.tar.zst");
  expect(await person.type(lines)).toMatchObject({ status: 0 });
  expect(await person.status()).toEqual(now);
});

test("a deleted home, whose daemon still runs", async () => {
  await using person = new Person();
  const { backed } = await person.work();
  const { pid } = JSON.parse(await person.ok("spl status -o json")) as { pid: number };
  rmSync(person.paths.home, { recursive: true });
  await kill(pid);
  const { stdout, status } = await person.type(blockAfter("The home is gone."));
  expect({ stdout, status }).toMatchObject({ status: 0 });
  expect(stdout).toContain("✓ healthy");
  expect(await person.status()).toEqual(backed);
});

/** @param lose the key's file, or all that is beside it as well */
async function findKeyAgain(person: Person, lose: (paths: HomePaths, key: string) => void, lines: string) {
  const now = await person.status();
  await person.ok("spl serve --stop");
  const key = join(person.paths.keys, `${now.instance_did.slice(-40)}.key`);
  const seed = readFileSync(key);
  lose(person.paths, key);
  // A start would make the folder of keys again.
  const { stdout: found } = await person.type("spl doctor");
  expect(found).toContain(`FAIL  open         the private key ${key} is missing`);
  const { stdout, stderr, status } = await person.type(lines);
  expect({ stdout, stderr, status }).toMatchObject({ status: 0 });
  expect(stdout).not.toContain("FAIL");
  expect(readFileSync(key).equals(seed)).toBe(true);
  expect(statSync(key).mode & 0o777).toBe(0o600);
  expect(existsSync(`${person.paths.home}.key`)).toBe(false);
  // Nothing is lost, the record since the backup neither.
  expect(await person.status()).toEqual(now);
  await person.ok("spl do 'signed again'");
}

test("a lost key", async () => {
  await using person = new Person();
  await person.work();
  await findKeyAgain(person, (_, key) => rmSync(key), blockAfter("The key is lost"));
});

test("a lost folder of keys, and an encrypted backup", async () => {
  await using person = new Person();
  await person.work();
  const age = ["age-keygen", "-o", join(person.folder, "key.txt")];
  const { stderr } = await runCommand(age, { env: { PATH: process.env.PATH! } });
  const recipient = /age1\S+/.exec(stderr)![0];
  await person.ok(`spl export --encrypt-to ${recipient} --out ~/backup.tar.zst.age; rm ~/backup.tar.zst`);
  const lines = blockAfter("The key is lost").replace(
    "~/backup.tar.zst",
    "~/backup.tar.zst.age --decrypt-key ~/key.txt",
  );
  await findKeyAgain(person, ({ keys }) => rmSync(keys, { recursive: true }), lines);
});

test.skipIf(!canMount)("a full disk under the home", async () => {
  await using person = new Person();
  using disk = new TinyDisk(person.folder, 8192);
  const { now } = await person.work();
  const large = person.beside("large");
  mkdirSync(large);
  disk.fill();
  expect((await person.type("spl do 'too much'")).stderr).toContain("no space left on the device");
  const lines = blockAfter("The disk under the home is full").replaceAll("/mnt/large", large);
  const { stdout, status } = await person.type(lines);
  expect({ stdout, status }).toMatchObject({ status: 0 });
  expect(stdout).not.toContain("FAIL");
  expect(existsSync(person.paths.home)).toBe(false);
  const home = join(large, "syncro");
  expect(await person.status(home)).toEqual(now);
  const away = `SYNCROPEL_HOME=${shellWord(home)}`;
  await person.ok(`${away} spl do 'room again'`);
  await person.ok(`${away} spl serve --stop; spl verify ${shellWord(join(large, "now.tar.zst"))}`);
});

test.skipIf(!canMount)("a full disk that a bundle goes to", async () => {
  await using person = new Person();
  await person.work();
  using disk = new TinyDisk(person.beside("backup"), 1024);
  writeFileSync(join(disk.path, "oldest.tar.zst"), new Uint8Array(64 * 1024));
  disk.fill();
  const out = join(disk.path, "now.tar.zst");
  const refused = await person.type(`spl export --out ${shellWord(out)}`);
  expect(refused).toMatchObject({ status: 1, stdout: "" });
  expect(existsSync(out)).toBe(false);
  const lines = blockAfter("The disk that a bundle goes to is full").replaceAll("/mnt/backup", disk.path);
  const { stdout, status } = await person.type(lines);
  expect({ stdout, status }).toMatchObject({ status: 0 });
  expect(stdout).toContain("✓ Bundle verified");
});

test("no block of commands is left untyped", () => {
  const source = readFileSync(import.meta.path, "utf8");
  const typed = [...source.matchAll(/blockAfter\("([^"]+)"\)/g)].map(([, words]) => blockAfter(words!));
  expect(new Set(typed)).toEqual(new Set(BLOCKS.values()));
  expect(SECTION.split("```sh").length - 1).toBe(BLOCKS.size);
});
