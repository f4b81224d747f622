import { rmSync } from "node:fs";
import { join } from "node:path";
import { toHex } from "../base/bytes.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { SplError } from "../base/errors.ts";
import { exists } from "../base/exists.ts";
import { type HomePaths, homePaths } from "../base/home.ts";
import { type Random, systemRandom } from "../base/random.ts";
import { checkInstanceName, instanceDid } from "../identity/did.ts";
import { generateKey, type KeyPair } from "../identity/key.ts";
import { loadKey, repairPointer, retireStrays, saveKey } from "../identity/keys_folder.ts";
import type { ConnectionOptions } from "../store/connection.ts";
import { SqliteStore } from "../store/sqlite.ts";
import type { IdentityRow, Reader, Writer } from "../store/types.ts";
import { clearLeftovers, holdsUnfinished, INIT_PREFIX, lostStore, makeHome, requireLog } from "./home.ts";

export interface Ports {
  clock: Clock;
  random: Random;
}

export const systemPorts: Ports = { clock: systemClock, random: systemRandom };

/** The identity of the moment with the key that signs for it. */
export interface Signer extends IdentityRow {
  key: KeyPair;
}

export interface InstanceOptions extends ConnectionOptions {
  /** Open a home whose key may be missing or damaged; `signer` then throws what opening would have. */
  keyless?: boolean;
}

/** One open home: its store and its key. */
export class Instance {
  #key: KeyPair | null;

  private constructor(
    readonly paths: HomePaths,
    readonly store: SqliteStore,
    readonly ports: Ports,
    key: KeyPair | null,
  ) {
    this.#key = key;
  }

  /**
   * Opens an existing home. A missing or damaged key is an error, never a silently new identity.
   * @throws SplError not_initialized, store_damaged, store_newer, key_missing, key_damaged, key_permissions
   */
  static async open(
    home: string,
    ports: Partial<Ports> = {},
    options: InstanceOptions = {},
  ): Promise<Instance> {
    const paths = homePaths(home);
    const lost = lostStore(paths);
    if (lost) throw lost;
    requireLog(paths);
    const store = SqliteStore.open(paths.db, options);
    try {
      const key = options.keyless ? null : await currentKey(store, paths.keys);
      return new Instance(paths, store, { ...systemPorts, ...ports }, key);
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  /** Who this instance is now. An import in another process may have changed it since the last call. */
  async signer(reader: Reader): Promise<Signer> {
    const identity = await requireIdentity(reader);
    let key = this.#key;
    if (identity.fingerprint !== key?.fingerprint) key = loadKey(this.paths.keys, identity.fingerprint);
    this.#key = key;
    return { ...identity, key };
  }

  /**
   * Puts right what a crash may have left: the pointer to the current key, keys of an adoption that was not
   * committed, half imports. Only for the holder of the home's lock.
   */
  async mend(): Promise<void> {
    const { fingerprint } = await this.store.read(requireIdentity);
    repairPointer(this.paths.keys, fingerprint);
    retireStrays(this.paths.keys, fingerprint);
    clearLeftovers(this.paths);
  }

  close(): Promise<void> {
    return this.store.close();
  }
}

async function currentKey(store: SqliteStore, keys: string): Promise<KeyPair> {
  const { fingerprint } = await store.read(requireIdentity);
  try {
    return loadKey(keys, fingerprint);
  } catch (error) {
    // An import may have adopted another identity, and retired this key, in between.
    const now = await store.read(requireIdentity);
    if (now.fingerprint === fingerprint) throw error;
    return loadKey(keys, now.fingerprint);
  }
}

export async function requireIdentity(reader: Reader): Promise<IdentityRow> {
  const identity = await reader.identity();
  if (identity) return identity;
  throw new SplError("store_damaged", "the store holds no identity", {
    hint: "move the home away, then spl restore FILE",
  });
}

/** Who a new home is. Its steward is a new one, and its epoch comes after all that this machine's clock has seen. */
export function newIdentity(
  did: string,
  name: string,
  { fingerprint, publicKey }: KeyPair,
  { clock, random }: Ports,
): IdentityRow {
  return { did, name, fingerprint, publicKey, epoch: clock(), stewardId: toHex(random(16)), url: null };
}

/** Makes a home's store and key. The store gets its name last: until then there is no instance. */
export async function makeStore(
  paths: HomePaths,
  key: KeyPair,
  random: Random,
  fill: (writer: Writer) => Promise<void>,
): Promise<void> {
  const unfinished = join(paths.run, `${INIT_PREFIX}${toHex(random(6))}.db`);
  await SqliteStore.create(paths.db, unfinished, async (writer) => {
    await fill(writer);
    saveKey(paths.keys, key);
  });
  repairPointer(paths.keys, key.fingerprint);
  // Of a daemon of another store: this one has no log yet.
  rmSync(paths.daemon, { force: true });
}

/**
 * Makes a new instance: folders, key, store. Nothing that exists is ever replaced. Only for the holder of the home's lock.
 * @param name the DID's name part, fixed from now on
 * @throws SplError usage for a bad name; conflict when an instance is there already; not_initialized when a key without its store is
 */
export async function initInstance(
  home: string,
  name = "local",
  ports: Partial<Ports> = {},
): Promise<IdentityRow> {
  const { clock, random } = { ...systemPorts, ...ports };
  checkInstanceName(name);
  const paths = homePaths(home);
  if (exists(paths.db)) {
    throw new SplError("conflict", `there is an instance at ${home} already`, {
      hint: "spl identity show tells who it is; set SYNCROPEL_HOME to use another home",
    });
  }
  makeHome(paths);
  if (holdsUnfinished(paths)) {
    // Its making was cut short: the store never got its name, so the key that was made for it has signed nothing.
    retireStrays(paths.keys, null);
    clearLeftovers(paths);
  }
  const lost = lostStore(paths);
  if (lost) throw lost;
  const key = generateKey(random);
  const identity = newIdentity(instanceDid(name, key.publicKey), name, key, { clock, random });
  await makeStore(paths, key, random, (writer) => writer.setIdentity(identity));
  return identity;
}
