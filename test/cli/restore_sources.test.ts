import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { Box } from "../kit/box.ts";
import { S3Server } from "../kit/s3.ts";
import { type RunResult, runCommand, runSpl, splBinary } from "../kit/spl.ts";

setDefaultTimeout(60_000);

/** Where `spl restore` finds what it brings back when the home is gone, and what opens it. */

let box: Box;
let did: string;
let key: string;
let recipient: string;

beforeAll(async () => {
  box = await Box.serving();
  did = (await box.json<{ instance_did: string }>("status")).instance_did;
  key = box.file("key.txt");
  const { stderr } = await runCommand(["age-keygen", "-o", key], { env: box.home.env });
  recipient = /age1\S+/.exec(stderr)![0];
});
afterAll(() => box[Symbol.asyncDispose]());

/** Short, for the socket of a home below it. */
const freshFolder = () => mkdtempSync(box.file("t-"));

function run(args: string[], env: Record<string, string> = {}, of = box): Promise<RunResult> {
  return runSpl(args, { home: of.home, env });
}

/** Restores to a home that is not there yet, and tells what was said and which instance it is. */
async function restored(args: string[], env: Record<string, string> = {}) {
  const home = join(freshFolder(), "h");
  const { stdout, stderr, status } = await run(["restore", ...args, "--home", home], env);
  expect({ stdout, stderr, status }).toMatchObject({ status: 0 });
  return { home, stdout, said: stderr.split("\n")[0]! };
}

test("the newest backup of a folder, of the default folder, and of a bucket; and any one of the bucket", async () => {
  const folder = freshFolder();
  for (const records of [1, 2]) {
    await box.ok("do", "one more");
    await box.ok("backup", "--to", folder);
    const newest = readdirSync(folder)
      .filter((name) => name.endsWith(".zst"))
      .sort()
      .at(-1);
    const { home, stdout, said } = await restored([folder]);
    expect(said).toBe(`restoring ${join(folder, newest!)} to ${home}`);
    expect(stdout).toContain(`records inserted:    ${records}\n`);
  }
  await box.ok("do", "one more");
  await box.ok("backup");
  expect((await restored(["latest"])).stdout).toContain("records inserted:    3\n");

  await using server = await S3Server.start();
  const at = "s3://backups/laptop";
  for (let n = 0; n < 2; n++) {
    expect(await run(["backup", "--to", at, "--encrypt-to", recipient], server.env)).toMatchObject({
      status: 0,
    });
    await box.ok("do", "one more");
  }
  const [first, second] = server.keys().filter((name) => name.endsWith(".age"));
  for (const [from, name, records] of [
    [at, second, 4],
    [`s3://backups/${first}`, first, 3],
  ] as const) {
    const { home, stdout, said } = await restored([from, "--decrypt-key", key], server.env);
    const what = from === at ? `s3://backups/${name} ` : "";
    expect(said).toBe(`restoring ${what}to ${home}`);
    expect(stdout).toContain(`records inserted:    ${records}\n`);
  }
  // What is not there, and what the key is missing for, leaves nothing.
  await using other = new Box();
  for (const [args, line] of [
    [
      ["s3://backups/elsewhere"],
      "there is no backup in s3://backups/elsewhere; name a bundle, or where backups of it are: a folder or s3://BUCKET/PREFIX",
    ],
    [
      [`${at}/000000000000-20260101T000000Z.tar.zst`],
      `there is no 000000000000-20260101T000000Z.tar.zst in ${at}; spl backup list --to ${at} shows what is there`,
    ],
    [[at], "the bundle is encrypted to a key; pass --decrypt-key FILE with the key it was encrypted to"],
  ] as const) {
    const { stdout, stderr, status } = await run(["restore", ...args], server.env, other);
    expect({ stdout, said: stderr.trimEnd().split("\n").at(-1), status }).toEqual({
      stdout: "",
      said: line,
      status: 1,
    });
    expect(readdirSync(other.home.path)).toEqual([]);
  }
});

test("in a folder of several instances it is not guessed which is meant", async () => {
  const folder = freshFolder();
  await using other = await Box.serving();
  await box.ok("backup", "--to", folder);
  await other.ok("backup", "--to", folder);
  const home = join(freshFolder(), "h");
  expect(await run(["restore", folder, "--home", home])).toEqual({
    stdout: "",
    stderr: `there are backups of several instances in ${folder}; say which with --expect-did DID, or name one of the backups\n`,
    status: 1,
  });
  for (const which of [did, (await other.json<{ instance_did: string }>("status")).instance_did]) {
    expect((await restored([folder, "--expect-did", which])).stdout).toContain(`source DID:    ${which}\n`);
  }
});

test("a passphrase: from a file, or asked for before anything is made", async () => {
  const [folder, secret] = [freshFolder(), box.file("secret.txt")];
  await Bun.write(secret, "correct horse\n");
  await box.ok("backup", "--to", folder, "--passphrase-file", secret);
  await restored([folder, "--passphrase-file", secret]);

  await using other = new Box();
  const line = `"${splBinary()}" restore ${folder}`;
  const child = Bun.spawn(["script", "-qec", line, "/dev/null"], {
    env: other.home.env,
    stdin: "pipe",
    stdout: "pipe",
  });
  let shown = "";
  for await (const chunk of child.stdout) {
    shown += new TextDecoder().decode(chunk);
    if (!shown.includes("passphrase: ")) continue;
    child.stdin.write("\x03");
    await child.stdin.flush();
    break;
  }
  expect(await child.exited).toBe(130);
  expect(readdirSync(other.home.path)).toEqual([]);
});
