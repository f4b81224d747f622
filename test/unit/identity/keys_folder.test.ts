import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SplError } from "../../../lib/base/errors.ts";
import { keyFromSeed } from "../../../lib/identity/key.ts";
import {
  loadKey,
  repairPointer,
  retireKey,
  retireStrays,
  saveKey,
} from "../../../lib/identity/keys_folder.ts";

const key = keyFromSeed(new Uint8Array(32).fill(1));
const newer = keyFromSeed(new Uint8Array(32).fill(2));
const file = `${key.fingerprint}.key`;

let home: string;
let keys: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "spl-keys-"));
  keys = join(home, "keys");
});
afterEach(() => rmSync(home, { recursive: true }));

const bytesOf = (path: string): Uint8Array => new Uint8Array(readFileSync(path));
const mode = (path: string) => statSync(path).mode & 0o777;
const retired = () => readdirSync(join(keys, "retired")).sort();

function refusal(act: () => unknown): SplError {
  try {
    act();
  } catch (error) {
    if (error instanceof SplError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("saveKey", () => {
  test("writes the 32-byte seed for its owner alone, whatever the umask", () => {
    const umask = process.umask(0);
    try {
      saveKey(keys, key);
    } finally {
      process.umask(umask);
    }
    expect(mode(keys)).toBe(0o700);
    expect(mode(join(keys, file))).toBe(0o600);
    expect(bytesOf(join(keys, file))).toEqual(key.seed);
    expect(readdirSync(keys)).toEqual([file]);
  });

  test("closes a folder that was open to others", () => {
    mkdirSync(keys, { mode: 0o755 });
    chmodSync(keys, 0o755);
    saveKey(keys, key);
    expect(mode(keys)).toBe(0o700);
  });

  test("mends a damaged file of the same key", () => {
    saveKey(keys, key);
    writeFileSync(join(keys, file), "damaged");
    saveKey(keys, key);
    expect(loadKey(keys, key.fingerprint).seed).toEqual(key.seed);
  });

  test("says where it could not write", () => {
    writeFileSync(keys, "a file in the folder's place");
    const error = refusal(() => saveKey(keys, key));
    expect(error.code).toBe("file_unreadable");
    expect(error.message).toContain(keys);
  });
});

describe("loadKey", () => {
  beforeEach(() => saveKey(keys, key));
  const path = () => join(keys, file);
  const load = () => loadKey(keys, key.fingerprint);

  test("gives back the key", () => {
    expect(load().publicKey).toEqual(key.publicKey);
    expect(load().seed).toEqual(key.seed);
  });

  test("a missing key is an error that says how to get it back, never a new key", () => {
    rmSync(path());
    const error = refusal(load);
    expect(error.code).toBe("key_missing");
    expect(error.message).toBe(`the private key ${path()} is missing`);
    expect(error.hint).toContain("copy of keys/");
    expect(error.hint).toContain("spl restore BUNDLE");
    expect(readdirSync(keys)).toEqual([]);
    rmSync(keys, { recursive: true });
    expect(refusal(load).code).toBe("key_missing");
  });

  test.each([
    ["empty", new Uint8Array(0), "has 0 bytes instead of 32"],
    ["cut short", new Uint8Array(31), "has 31 bytes instead of 32"],
    ["too long", new Uint8Array(33), "has 33 bytes instead of 32"],
    ["one bit off", key.seed.with(5, key.seed[5]! ^ 1), "is another key than its name says"],
  ])("a key file that is %s is refused and left as it is", (_, bytes, what) => {
    writeFileSync(path(), bytes);
    const error = refusal(load);
    expect([error.code, error.message]).toEqual(["key_damaged", `the private key ${path()} ${what}`]);
    expect(bytesOf(path())).toEqual(bytes);
  });

  test.each([0o644, 0o640, 0o604, 0o660, 0o601])("mode %o is refused", (loose) => {
    chmodSync(path(), loose);
    const error = refusal(load);
    expect(error.code).toBe("key_permissions");
    expect(error.hint).toBe(`chmod 600 ${path()}`);
    chmodSync(path(), 0o600);
    expect(load().fingerprint).toBe(key.fingerprint);
  });

  test("a key that only its owner can read, but not write, is fine", () => {
    chmodSync(path(), 0o400);
    expect(load().fingerprint).toBe(key.fingerprint);
  });

  test("a folder in the file's place is refused", () => {
    rmSync(path());
    mkdirSync(path());
    expect(refusal(load).code).toBe("key_damaged");
  });

  test("what cannot be read is named", () => {
    const error = refusal(() => loadKey(path(), key.fingerprint));
    expect(error.code).toBe("file_unreadable");
    expect(error.message).toContain(path());
  });
});

describe("repairPointer", () => {
  const pointer = () => join(keys, "instance.key");
  beforeEach(() => saveKey(keys, key));

  test("points to the current key, by a name that survives moving the home", () => {
    repairPointer(keys, key.fingerprint);
    expect(readlinkSync(pointer())).toBe(file);
    const moved = `${home}-moved`;
    renameSync(home, moved);
    expect(bytesOf(join(moved, "keys", "instance.key"))).toEqual(key.seed);
    renameSync(moved, home);
  });

  test("follows a new current key, and mends a dangling link", () => {
    symlinkSync("/nowhere/else.key", pointer());
    repairPointer(keys, key.fingerprint);
    expect(readlinkSync(pointer())).toBe(file);
    saveKey(keys, newer);
    repairPointer(keys, newer.fingerprint);
    repairPointer(keys, newer.fingerprint);
    expect(readlinkSync(pointer())).toBe(`${newer.fingerprint}.key`);
    expect(readdirSync(keys).sort()).toEqual([file, `${newer.fingerprint}.key`, "instance.key"].sort());
  });

  test("keeps a real file that has its name", () => {
    writeFileSync(pointer(), newer.seed);
    repairPointer(keys, key.fingerprint);
    expect(readlinkSync(pointer())).toBe(file);
    expect(bytesOf(join(keys, "retired", "instance.key"))).toEqual(newer.seed);
  });
});

describe("retiring", () => {
  beforeEach(() => {
    saveKey(keys, key);
    saveKey(keys, newer);
    repairPointer(keys, newer.fingerprint);
  });

  test("moves a key, and only that one; twice is once", () => {
    retireKey(keys, key.fingerprint);
    retireKey(keys, key.fingerprint);
    expect(retired()).toEqual([file]);
    expect(mode(join(keys, "retired"))).toBe(0o700);
    expect(mode(join(keys, "retired", file))).toBe(0o600);
    expect(refusal(() => loadKey(keys, key.fingerprint)).code).toBe("key_missing");
    expect(loadKey(keys, newer.fingerprint).seed).toEqual(newer.seed);
  });

  test("a key that is nowhere cannot be retired", () => {
    expect(refusal(() => retireKey(keys, "0".repeat(40))).code).toBe("key_missing");
  });

  test("a key that comes back and is retired again is there once", () => {
    retireKey(keys, key.fingerprint);
    saveKey(keys, key);
    retireKey(keys, key.fingerprint);
    expect(retired()).toEqual([file]);
  });

  test("a file of the same name but other bytes does not replace what is there", () => {
    retireKey(keys, key.fingerprint);
    for (const bytes of ["damaged", "worse"]) {
      writeFileSync(join(keys, file), bytes);
      retireKey(keys, key.fingerprint);
    }
    expect(retired()).toEqual([file, `${file}.2`, `${file}.3`]);
    expect(bytesOf(join(keys, "retired", file))).toEqual(key.seed);
    expect(readFileSync(join(keys, "retired", `${file}.3`), "utf8")).toBe("worse");
  });

  test("strays go, the current key, its pointer and everything else stay", () => {
    writeFileSync(join(keys, "old-backup.key"), "?");
    writeFileSync(join(keys, "README"), "mine");
    expect(retireStrays(keys, newer.fingerprint).sort()).toEqual([file, "old-backup.key"].sort());
    expect(retired()).toEqual([file, "old-backup.key"].sort());
    expect(readdirSync(keys).sort()).toEqual(
      [`${newer.fingerprint}.key`, "README", "instance.key", "retired"].sort(),
    );
    expect(retireStrays(keys, newer.fingerprint)).toEqual([]);
  });
});
