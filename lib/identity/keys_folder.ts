import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  symlinkSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { syncDirectory, writeFileAtomic } from "../base/atomic_file.ts";
import { equalBytes } from "../base/bytes.ts";
import { fileError, SplError, systemCode } from "../base/errors.ts";
import { shellWord } from "../base/text.ts";
import { type KeyPair, keyFromSeed } from "./key.ts";

/**
 * A home's `keys/` folder (0700): `<fingerprint>.key` is a 32-byte seed (0600), `instance.key` a relative link to
 * the current one, `retired/` what is current no longer. Nothing here ever deletes a key or makes a new one.
 */

const POINTER = "instance.key";
const RETIRED = "retired";

function keyPath(dir: string, fingerprint: string): string {
  return join(dir, `${fingerprint}.key`);
}

/** Makes the folder if need be, private and durable. */
function ensureFolder(dir: string): void {
  if (!existsSync(dir)) {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    syncDirectory(dirname(dir));
  }
  chmodSync(dir, 0o700);
}

/**
 * Writes a key durably: when this returns, it survives a power cut and may be used.
 * @throws SplError disk_full, file_unreadable
 */
export function saveKey(dir: string, key: KeyPair): void {
  try {
    ensureFolder(dir);
  } catch (error) {
    throw fileError(error, "create", dir);
  }
  writeFileAtomic(keyPath(dir, key.fingerprint), key.seed, 0o600);
}

/**
 * @throws SplError key_missing, key_damaged (not 32 bytes, or another key than its name says), key_permissions
 *   (readable by others), file_unreadable
 */
export function loadKey(dir: string, fingerprint: string): KeyPair {
  const path = keyPath(dir, fingerprint);
  const hint = "put the file back from a copy of keys/, or move the home away, then spl restore BUNDLE";
  const { mode, size, file } = statKey(path, hint);
  if (!file) throw new SplError("key_damaged", `the private key ${path} is no regular file`, { hint });
  if (mode & 0o077) {
    throw new SplError("key_permissions", `the private key ${path} is open to other users`, {
      hint: `chmod 600 ${shellWord(path)}`,
    });
  }
  if (size !== 32) {
    throw new SplError("key_damaged", `the private key ${path} has ${size} bytes instead of 32`, { hint });
  }
  const key = keyFromSeed(readKey(path));
  if (key.fingerprint !== fingerprint) {
    throw new SplError("key_damaged", `the private key ${path} is another key than its name says`, { hint });
  }
  return key;
}

function statKey(path: string, hint: string): { mode: number; size: number; file: boolean } {
  let stats: Stats;
  try {
    stats = statSync(path);
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw fileError(error, "read", path);
    throw new SplError("key_missing", `the private key ${path} is missing`, { hint, cause: error });
  }
  return { mode: stats.mode, size: stats.size, file: stats.isFile() };
}

function readKey(path: string): Uint8Array {
  try {
    return new Uint8Array(readFileSync(path));
  } catch (error) {
    throw fileError(error, "read", path);
  }
}

/** Points `instance.key` at the current key. A real file that has its name is retired first. */
export function repairPointer(dir: string, fingerprint: string): void {
  const path = join(dir, POINTER);
  const target = `${fingerprint}.key`;
  try {
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats?.isSymbolicLink() && readlinkSync(path) === target) return;
    if (stats && !stats.isSymbolicLink()) retire(dir, POINTER);
    const temporary = join(dir, `.${POINTER}.tmp`);
    rmSync(temporary, { force: true });
    symlinkSync(target, temporary);
    renameSync(temporary, path);
    syncDirectory(dir);
  } catch (error) {
    throw fileError(error, "write", path);
  }
}

/**
 * Moves a key to `retired/`, durably. Doing it again is no error.
 * @throws SplError key_missing when it is in neither place, file_unreadable
 */
export function retireKey(dir: string, fingerprint: string): void {
  const path = keyPath(dir, fingerprint);
  try {
    if (existsSync(path)) retire(dir, `${fingerprint}.key`);
    else if (!existsSync(keyPath(join(dir, RETIRED), fingerprint))) {
      throw new SplError("key_missing", `the private key ${path} is missing`);
    }
  } catch (error) {
    throw fileError(error, "move", path);
  }
}

/**
 * Moves a key back from `retired/`, durably. One that is in its place is no error.
 * @throws SplError key_missing, file_unreadable
 */
export function recallKey(dir: string, fingerprint: string): void {
  const path = keyPath(dir, fingerprint);
  const retired = join(dir, RETIRED);
  const name = `${fingerprint}.key`;
  try {
    if (existsSync(path)) return;
    const named = existsSync(retired) ? readdirSync(retired).filter((file) => file.startsWith(name)) : [];
    for (const file of named) {
      const seed = readKey(join(retired, file));
      if (seed.length !== 32 || keyFromSeed(seed).fingerprint !== fingerprint) continue;
      move(dir, join(retired, file), path);
      return;
    }
  } catch (error) {
    throw fileError(error, "move", path);
  }
  throw new SplError("key_missing", `the private key ${join(retired, name)} is missing`, {
    hint: "put it back from a copy of keys/",
  });
}

/**
 * Retires every key but the current one (all where there is none), such as an adoption leaves behind that a crash has
 * cut short.
 * Returns the names of the files that were moved.
 * @throws SplError file_unreadable
 */
export function retireStrays(dir: string, currentFingerprint: string | null): string[] {
  try {
    const strays = readdirSync(dir).filter(
      (name) => name.endsWith(".key") && name !== POINTER && name !== `${currentFingerprint}.key`,
    );
    for (const name of strays) retire(dir, name);
    return strays;
  } catch (error) {
    throw fileError(error, "tidy", dir);
  }
}

/** Moves a file to `retired/` under a name that no other content has there. */
function retire(dir: string, name: string): void {
  const retired = join(dir, RETIRED);
  ensureFolder(retired);
  const path = join(dir, name);
  let target = join(retired, name);
  for (let n = 2; existsSync(target) && !sameContent(path, target); n++)
    target = join(retired, `${name}.${n}`);
  move(dir, path, target);
}

/** Between the folder and its `retired/`. */
function move(dir: string, from: string, to: string): void {
  renameSync(from, to);
  syncDirectory(join(dir, RETIRED));
  syncDirectory(dir);
}

function sameContent(a: string, b: string): boolean {
  return equalBytes(readFileSync(a), readFileSync(b));
}
