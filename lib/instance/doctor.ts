import { statfsSync, statSync } from "node:fs";
import { toHex } from "../base/bytes.ts";
import { isoTime } from "../base/clock.ts";
import { fileError, SplError } from "../base/errors.ts";
import { homePaths } from "../base/home.ts";
import { sha256 } from "../base/sha256.ts";
import { counted } from "../base/text.ts";
import { certifies } from "../identity/did.ts";
import { verifyEntry } from "../identity/record_signature.ts";
import { DigestSum } from "../record/digest.ts";
import type { Reader } from "../store/types.ts";
import { listPairs, type PairView } from "./federation.ts";
import { Instance } from "./instance.ts";
import { placeOf, standing } from "./steward.ts";
import type { DoctorRow } from "./types.ts";

/** A clock that is further behind the identity's epoch than this is wrong. */
const CLOCK_SKEW_MS = 24 * 60 * 60 * 1000;

export interface DoctorOptions {
  /** Recompute counts, digest and heads from the records. */
  rebuild: boolean;
  /** Hash every record and check every signature. */
  deep: boolean;
  /** Further rows by name, of what is known outside the home of this DID, or of any where the home does not open (null). */
  outside?: Readonly<Record<string, (did: string | null) => Result>>;
}

/**
 * Examines a home on its own, with or without its daemon. A check that cannot run is a failed row, so the
 * report is always whole.
 */
export async function* examine(home: string, options: DoctorOptions): AsyncGenerator<DoctorRow> {
  const paths = homePaths(home);
  const outside = Object.entries(options.outside ?? {});
  yield check("permissions", () => {
    const open = [paths.home, paths.keys, paths.db].filter((path) => (statSync(path).mode & 0o077) !== 0);
    if (open.length === 0) return pass("home, keys and store are private");
    return warn(`others may read ${open.join(", ")}`, `chmod go-rwx ${open.join(" ")}`);
  });
  yield check("disk", () => {
    const { bavail, bsize } = statfsSync(paths.home);
    const free = bavail * bsize;
    const store = statSync(paths.db).size;
    const facts = `${mebibytes(free)} free, the store takes ${mebibytes(store)}`;
    return free >= 2 * store
      ? pass(facts)
      : warn(facts, "free space for twice the store before an import or backup");
  });
  let instance: Instance;
  try {
    instance = await Instance.open(home);
  } catch (error) {
    yield { check: "open", ...failure(error) };
    for (const [name, row] of outside) yield check(name, () => row(null));
    return;
  }
  try {
    yield await checkAsync("store", async () => {
      const problems = await instance.store.integrityCheck();
      if (problems.length === 0) return pass("structure and indexes are sound");
      return fail(problems.join("; "), "move the home away, then spl restore a bundle");
    });
    if (options.rebuild) {
      yield await checkAsync("rebuild", async () => {
        const { changed } = await instance.store.transact((writer) => writer.rebuild());
        return changed
          ? warn("counts and digest were wrong and are rebuilt", "spl verify your newest bundle")
          : pass("rebuilt to the same values");
      });
    }
    yield await checkAsync("records", () =>
      instance.store.read((reader) => checkRecords(reader, options.deep)),
    );
    yield await checkAsync("forks", () =>
      instance.store.read(async (reader) => {
        const [fork] = await reader.forks({ limit: 1 });
        if (!fork) return pass("no two records claim one position");
        const { forks } = await reader.totals();
        return warn(
          `${counted(forks, "surplus record")}, first at clock ${fork.clock} of ${fork.thread} by ${fork.actor}`,
          `spl thread show ${fork.thread}`,
        );
      }),
    );
    yield await checkAsync("identity", () =>
      instance.store.read(async (reader) => {
        const { did, publicKey, epoch } = await instance.signer(reader);
        if (!certifies(did, publicKey))
          return fail(`${did} does not certify its key`, "restore from a bundle");
        if (epoch - instance.ports.clock() > CLOCK_SKEW_MS) {
          return warn(
            `the epoch lies ahead of this machine's clock (${isoTime(epoch)})`,
            "set the clock: timedatectl",
          );
        }
        return pass(`${did}, epoch ${epoch}`);
      }),
    );
    yield await checkAsync("steward", () =>
      instance.store.read(async (reader) => {
        const { state, by } = await standing(reader, await instance.signer(reader));
        if (by === null) return pass("this home is where the identity lives");
        if (state === "revoked") {
          return warn(
            `the identity was revoked (${by.issued_at})`,
            "spl export, then spl import --keep-identity elsewhere",
          );
        }
        return warn(
          `the identity moved to ${placeOf(by)} (${isoTime(by.epoch)})`,
          "spl serve --reclaim, if it is to come back",
        );
      }),
    );
    yield await checkAsync("peers", async () => checkPeers(await listPairs(instance)));
    for (const [name, row] of outside) {
      yield await checkAsync(name, () =>
        instance.store.read(async (reader) => row((await instance.signer(reader)).did)),
      );
    }
  } finally {
    await instance.close();
  }
}

function checkPeers(pairs: PairView[]): Result {
  const degraded = pairs.filter(({ state, problem }) => state === "active" && problem !== null);
  const asking = pairs.filter(({ approval }) => approval === "here");
  const [first] = degraded;
  if (first) {
    return warn(
      `${degraded.length} of ${counted(pairs.length, "pair")} degraded, first ${first.peer_did}: ${first.problem}`,
      `spl federation show ${first.id.slice(0, 12)}`,
    );
  }
  if (asking.length > 0) {
    return warn(
      `${counted(asking.length, "instance")} asking to be paired`,
      "spl federation list, then spl federation approve or spl federation reject",
    );
  }
  return pass(pairs.length === 0 ? "no pairs" : `${counted(pairs.length, "pair")}, none degraded`);
}

async function checkRecords(reader: Reader, deep: boolean): Promise<Result> {
  const digest = new DigestSum();
  let records = 0;
  for await (const heads of reader.entryHeads()) {
    for (const head of heads) digest.add(head);
    records += heads.length;
  }
  const totals = await reader.totals();
  if (records !== totals.records || digest.hex() !== totals.digest) {
    return fail(`${counted(totals.records, "record")} counted, ${records} found`, "spl doctor --rebuild");
  }
  if (deep) {
    const keys = new Map<string, Uint8Array>();
    for await (const signers of reader.signers())
      for (const { did, publicKey } of signers) keys.set(did, publicKey);
    for await (const entries of reader.entries()) {
      for (const entry of entries) {
        const key = keys.get(entry.signer);
        const sound =
          key !== undefined && toHex(sha256.hash(entry.canonical)) === entry.id && verifyEntry(entry, key);
        if (!sound)
          return fail(`record ${entry.id} is damaged`, "move the home away, then spl restore a bundle");
      }
    }
  }
  return pass(
    `${counted(records, "record")}, digest ${totals.digest}${deep ? ", every signature checked" : ""}`,
  );
}

export type Result = Omit<DoctorRow, "check">;

function check(name: string, fn: () => Result): DoctorRow {
  try {
    return { check: name, ...fn() };
  } catch (error) {
    return { check: name, ...failure(error) };
  }
}

async function checkAsync(name: string, fn: () => Promise<Result>): Promise<DoctorRow> {
  try {
    return { check: name, ...(await fn()) };
  } catch (error) {
    return { check: name, ...failure(error) };
  }
}

const pass = (detail: string): Result => ({ result: "pass", detail, fix: null });
const warn = (detail: string, fix: string): Result => ({ result: "warn", detail, fix });
const fail = (detail: string, fix: string | null): Result => ({ result: "fail", detail, fix });

function failure(error: unknown): Result {
  const { path } = error as { path?: unknown };
  const told = typeof path === "string" ? fileError(error, "read", path) : error;
  if (told instanceof SplError) return fail(told.message, told.hint ?? null);
  return fail(told instanceof Error ? told.message : String(told), null);
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}
