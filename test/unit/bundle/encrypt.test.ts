import { beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { Encrypter, generateIdentity, generateX25519Identity, identityToRecipient } from "age-encryption";
import { SplError } from "../../../lib/base/errors.ts";
import {
  type DecryptWith,
  decryptStream,
  encryptStream,
  isEncrypted,
  parseKeyFile,
} from "../../../lib/bundle/encrypt.ts";
import { alice, chain, chunked, gather, read, sourceOf, write } from "../../kit/bundle_kit.ts";
import { outside } from "../../kit/outside.ts";
import { ScratchFolder } from "../../kit/store.ts";

let identity = "";
let recipient = "";
let bundle: Uint8Array;
let sealed: Uint8Array;

beforeAll(async () => {
  identity = await generateX25519Identity();
  recipient = await identityToRecipient(identity);
  // Plain tar, so that the seed and the words of the records lie in it as they are.
  bundle = await write(sourceOf(alice, chain(alice, "th_a", 300, "secret plan")), "none");
  sealed = await gather(encryptStream(chunked(bundle, 70_000), { recipients: [recipient] }));
});

async function open(file: Uint8Array, using: DecryptWith, chunk?: number): Promise<Uint8Array | SplError> {
  try {
    return await gather(decryptStream(chunked(file, chunk), using));
  } catch (error) {
    if (error instanceof SplError) return error;
    throw error;
  }
}

describe("encrypting to a key", () => {
  test("gives back the same bytes, in chunks of any size", async () => {
    for (const size of [sealed.length, 65_536, 1000]) {
      expect(await open(sealed, { identities: [identity] }, size)).toEqual(bundle);
    }
  });

  test("the file holds neither the seed nor any word of the records", () => {
    const seed = Buffer.from(alice.key.seed);
    expect(Buffer.from(bundle).includes(seed)).toBe(true);
    expect(Buffer.from(bundle).includes("secret plan")).toBe(true);
    expect(Buffer.from(sealed).includes(seed)).toBe(false);
    expect(Buffer.from(sealed).includes("secret plan")).toBe(false);
    expect(Buffer.from(sealed).includes("manifest.json")).toBe(false);
  });

  test("age opens ours, and we open what age wrote", async () => {
    using folder = new ScratchFolder();
    writeFileSync(folder.file("key.txt"), `# created today\n${identity}\n`);
    writeFileSync(folder.file("ours.age"), sealed);
    writeFileSync(folder.file("bundle.tar"), bundle);
    outside(["age", "-d", "-i", "key.txt", "-o", "opened.tar", "ours.age"], { cwd: folder.path });
    expect(Buffer.compare(readFileSync(folder.file("opened.tar")), bundle)).toBe(0);
    outside(["age", "-r", recipient, "-o", "theirs.age", "bundle.tar"], { cwd: folder.path });
    const keys = parseKeyFile(readFileSync(folder.file("key.txt"), "utf8"));
    const theirs = new Uint8Array(readFileSync(folder.file("theirs.age")));
    expect(await open(theirs, { identities: keys })).toEqual(bundle);
  });

  test("each of several recipients opens it", async () => {
    const second = await generateIdentity();
    const recipients = [recipient, await identityToRecipient(second)];
    const file = await gather(encryptStream(chunked(bundle), { recipients }));
    expect(await open(file, { identities: [second] })).toEqual(bundle);
    expect(await open(file, { identities: [identity] })).toEqual(bundle);
  });

  test("another key is told what to pass", async () => {
    const error = await open(sealed, { identities: [await generateX25519Identity()] });
    expect(error).toMatchObject({
      code: "bundle_locked",
      message: "none of the keys opens this bundle",
      hint: "pass --decrypt-key FILE with the key it was encrypted to",
    });
  });
});

describe("encrypting to a passphrase", () => {
  test("opens with it alone", async () => {
    const file = await gather(encryptStream(chunked(bundle), { passphrase: "correct horse" }));
    expect(await open(file, { passphrase: "correct horse" })).toEqual(bundle);
    expect(await open(file, { passphrase: "wrong horse" })).toMatchObject({ code: "bundle_locked" });
    expect(await open(file, { identities: [identity] })).toMatchObject({ code: "bundle_locked" });
  }, 20_000);
});

describe("damage", () => {
  test("a file cut off is refused, wherever it is cut", async () => {
    const headerEnd = Buffer.from(sealed).indexOf("\n--- ");
    const ends = [
      30,
      headerEnd,
      headerEnd + 60,
      headerEnd + 80,
      65_536,
      sealed.length - 16,
      sealed.length - 1,
    ];
    for (const end of ends) {
      const error = await open(sealed.subarray(0, end), { identities: [identity] });
      expect(error).toMatchObject({ code: "bundle_malformed" });
      expect((error as SplError).message).toStartWith("bundle malformed: age: ");
    }
  });

  test("a changed byte is refused", async () => {
    for (const at of [sealed.length - 1, sealed.length >> 1, 70_000]) {
      const changed = sealed.slice();
      changed[at]! ^= 1;
      expect(await open(changed, { identities: [identity] })).toMatchObject({ code: "bundle_malformed" });
    }
  });

  test("a header without end is left before it fills the memory", async () => {
    let given = 0;
    async function* endless() {
      yield Buffer.from("age-encryption.org/v1\n-> X25519 ");
      for (;;) {
        given++;
        yield new Uint8Array(64 * 1024).fill(0x61);
      }
    }
    const opening = gather(decryptStream(endless(), { identities: [identity] }));
    await expect(opening).rejects.toThrow("bundle malformed: age: its header has no end");
    expect(given).toBeLessThan(40);
  });

  test("an error of the source comes out as it is", async () => {
    async function* broken() {
      yield sealed.subarray(0, 70_000);
      throw new Error("the disk is gone");
    }
    await expect(gather(decryptStream(broken(), { identities: [identity] }))).rejects.toThrow(
      "the disk is gone",
    );
    await expect(gather(encryptStream(broken(), { recipients: [recipient] }))).rejects.toThrow(
      "the disk is gone",
    );
  });
});

describe("what cannot be used is refused by name", () => {
  test("recipients", async () => {
    const encrypt = (recipients: string[]) => gather(encryptStream(chunked(bundle), { recipients }));
    await expect(encrypt(["age1nonsense"])).rejects.toMatchObject({
      code: "usage",
      message: '"age1nonsense" is not an age recipient',
    });
    await expect(encrypt(["ssh-ed25519 AAAA"])).rejects.toMatchObject({ code: "usage" });
    await expect(encrypt([])).rejects.toMatchObject({ code: "usage" });
    await expect(gather(encryptStream(chunked(bundle), { passphrase: "" }))).rejects.toMatchObject({
      code: "usage",
    });
  });

  test("key files", () => {
    expect(parseKeyFile(`# public key: age1…\r\n\n ${identity} \n`)).toEqual([identity]);
    for (const text of ["", "# only a comment\n", recipient, `${identity}\nnonsense`]) {
      expect(() => parseKeyFile(text)).toThrow("the file holds no age secret key");
    }
  });

  test("a damaged key is not repeated in the message", async () => {
    const error = await open(sealed, { identities: [identity.slice(0, -1)] });
    expect(error).toMatchObject({ code: "usage" });
    expect(String(error)).not.toContain(identity.slice(20, 40));
  });
});

test("an encrypted file is known by its first bytes, and a bundle reader names the key it needs", async () => {
  expect(isEncrypted(sealed.subarray(0, 22))).toBe(true);
  expect(isEncrypted(sealed.subarray(0, 21))).toBe(false);
  expect(isEncrypted(bundle)).toBe(false);
  const foreign = new Encrypter();
  foreign.addRecipient(recipient);
  expect(isEncrypted(await foreign.encrypt("x"))).toBe(true);
  await expect(read(sealed)).rejects.toMatchObject({
    code: "bundle_locked",
    hint: "pass --decrypt-key FILE",
  });
});
