import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SplError } from "../../../lib/base/errors.ts";
import { ClockOffsets, readClockOffsets } from "../../../lib/instance/clock_offsets.ts";
import { type DoctorOptions, examine } from "../../../lib/instance/doctor.ts";
import { emit } from "../../../lib/instance/emit.ts";
import type { Instance } from "../../../lib/instance/instance.ts";
import { keepOwnStatement, noteStatement, ownStatement } from "../../../lib/instance/steward.ts";
import { mintToken, revokeToken } from "../../../lib/instance/tokens.ts";
import { ALICE, emission, fill, newInstance } from "../../kit/instances.ts";
import { ScratchFolder } from "../../kit/store.ts";

async function rows(home: string, options: DoctorOptions = { rebuild: false, deep: false }) {
  const found = await Array.fromAsync(examine(home, options));
  return Object.fromEntries(found.map((row) => [row.check, row]));
}

/** A closed home with some records, and a way to damage its store behind its back. */
async function home(folder: ScratchFolder) {
  const instance = await newInstance(folder, "home");
  await fill(instance, 12);
  await instance.close();
  return {
    path: folder.file("home"),
    damage(sql: string) {
      const db = new Database(join(folder.file("home"), "hub.db"));
      db.run(sql);
      db.close();
    },
  };
}

describe("doctor", () => {
  test("rows of what lies outside the home are asked for its DID, or for any where it does not open", async () => {
    using folder = new ScratchFolder();
    const { path } = await home(folder);
    const asked: (string | null)[] = [];
    const outside = {
      backup: (did: string | null) => {
        asked.push(did);
        return { result: "pass" as const, detail: "there", fix: null };
      },
      drill: () => {
        throw new SplError("file_unreadable", "cannot read a receipt");
      },
    };
    const options = { rebuild: false, deep: false, outside };
    const found = await rows(path, options);
    expect(found).toMatchObject({
      backup: { result: "pass" },
      drill: { result: "fail", detail: "cannot read a receipt" },
    });
    expect(await rows(folder.file("nowhere"), options)).toMatchObject({ backup: { detail: "there" } });
    expect(asked).toEqual([expect.stringMatching(/^did:sync:instance:/), null]);
  });

  test("a sound home passes every check", async () => {
    using folder = new ScratchFolder();
    const { path } = await home(folder);
    const found = await rows(path, { rebuild: true, deep: true });
    expect(Object.values(found).filter((row) => row.result !== "pass")).toEqual([]);
    expect(found.records!.detail).toContain("12 records, digest ");
  });

  test("wrong counts are found, and --rebuild mends them", async () => {
    using folder = new ScratchFolder();
    const { path, damage } = await home(folder);
    damage("UPDATE totals SET records = 11");
    expect((await rows(path)).records).toMatchObject({ result: "fail", fix: "spl doctor --rebuild" });
    expect((await rows(path, { rebuild: true, deep: false })).rebuild!.result).toBe("warn");
    expect((await rows(path)).records!.result).toBe("pass");
  });

  test("--deep says which record is damaged where its signer is not known any more", async () => {
    using folder = new ScratchFolder();
    const { path, damage } = await home(folder);
    damage("UPDATE signers SET records = 0");
    const { records } = await rows(path, { rebuild: false, deep: true });
    expect(records!.detail).toMatch(/^record [0-9a-f]{64} is damaged$/);
  });

  test("--deep finds a record whose content or signature was changed", async () => {
    for (const change of [
      "canonical = CAST(replace(CAST(canonical AS TEXT), 'record', 'recorD') AS BLOB)",
      "sig = zeroblob(64)",
    ]) {
      using folder = new ScratchFolder();
      const { path, damage } = await home(folder);
      damage(`UPDATE records SET ${change} WHERE seq = 4`);
      const { records } = await rows(path, { rebuild: true, deep: true });
      expect(records).toMatchObject({ result: "fail" });
      expect(records!.detail).toMatch(/^record [0-9a-f]{64} is damaged$/);
    }
  });

  test("a home that others may read is warned of, with the command that mends it", async () => {
    using folder = new ScratchFolder();
    const { path } = await home(folder);
    chmodSync(path, 0o755);
    expect((await rows(path)).permissions).toMatchObject({ result: "warn", fix: `chmod go-rwx ${path}` });
  });

  test("a missing store and a readable key are failed rows, not crashes", async () => {
    using folder = new ScratchFolder();
    const { path } = await home(folder);
    const key = (await Array.fromAsync(new Bun.Glob("*.key").scan(join(path, "keys")))).find(
      (k) => k.length > 20,
    )!;
    chmodSync(join(path, "keys", key), 0o644);
    expect((await rows(path)).open).toMatchObject({
      result: "fail",
      fix: expect.stringContaining("chmod 600"),
    });
    await Bun.file(join(path, "hub.db")).delete();
    expect((await rows(path)).open).toMatchObject({ result: "fail" });
  });

  const DAY = 24 * 60 * 60 * 1000;

  /** The rows of an open home at a moment. */
  async function rowsAt(instance: Instance, at: number, options: Partial<DoctorOptions> = {}) {
    const { home: path } = instance.paths;
    return rows(path, { rebuild: false, deep: false, ...options, ports: { clock: () => at } });
  }

  test("a clock is doubted by what is known here: epoch, audit, own records, what peers signed", async () => {
    using folder = new ScratchFolder();
    const instance = await newInstance(folder, "home");
    const now = Date.now();
    expect((await rowsAt(instance, now)).clock).toMatchObject({ result: "pass" });
    const doubt = async (at: number) => {
      const { clock } = await rowsAt(instance, at);
      return [clock!.result, /^.* ahead of this machine's clock/.exec(clock!.detail)?.[0], clock!.fix];
    };
    const fix = expect.stringContaining("timedatectl");
    const told = (what: string) => ["warn", `${what} lies ahead of this machine's clock`, fix];
    expect(await doubt(now - DAY)).toEqual(told("the epoch"));
    const at = new Date(now + DAY).toISOString();
    const [made] = await emit(instance, [emission({ body: { text: "tomorrow", at } })], { actor: ALICE });
    // Who spoke does not matter, who signed does.
    expect(await doubt(now)).toEqual(told(`record ${made!.id.slice(0, 12)}`));
    expect((await rowsAt(instance, now + DAY)).clock).toMatchObject({ result: "pass" });
    await instance.store.transact((writer) => writer.addAudit(now + 2 * DAY, "token.mint", {}));
    expect(await doubt(now + DAY)).toEqual(told("the audit's token.mint"));
    await instance.close();
  });

  test("a clock is compared with those that the daemon heard, while that is fresh", async () => {
    using folder = new ScratchFolder();
    const instance = await newInstance(folder, "home");
    const now = Date.now();
    const heard = new ClockOffsets(instance.paths, () => now);
    const http = (ms: number) => new Date(ms).toUTCString();
    heard.heard("https://a.example", http(now + 20_000));
    heard.heard("https://b.example", null);
    heard.heard("https://b.example", "yesterday, or so");
    expect((await rowsAt(instance, now)).clock).toMatchObject({
      result: "pass",
      detail: expect.stringMatching(/^within (?:19|20|21) s of https:\/\/a\.example$/),
    });
    heard.heard("https://b.example", http(now - 300_000));
    const { clock } = await rowsAt(instance, now);
    expect(clock).toMatchObject({ result: "warn", fix: expect.stringContaining("timedatectl") });
    expect(clock!.detail).toMatch(/^the clock of https:\/\/b\.example is \d+ s behind this machine's$/);
    // What was put right is known with the next answer, and what was heard yesterday tells nothing.
    new ClockOffsets(instance.paths, () => now).heard("https://b.example", http(now));
    expect((await rowsAt(instance, now)).clock).toMatchObject({ result: "pass" });
    heard.heard("https://b.example", http(now - 300_000));
    expect((await rowsAt(instance, now + 2 * DAY)).clock!.detail).toBe(
      "nothing known here lies in the future",
    );
    await instance.close();
  });

  test("clocks are kept of so many others, the latest, and not written anew with every answer", async () => {
    using folder = new ScratchFolder();
    const instance = await newInstance(folder, "home");
    let now = Date.now();
    const heard = new ClockOffsets(instance.paths, () => now);
    for (let n = 0; n < 100; n++) heard.heard(`https://${n}.example`, new Date(now).toUTCString());
    const kept = readClockOffsets(instance.paths);
    expect([kept.length, kept[0]!.origin]).toEqual([32, "https://68.example"]);
    now += 60_000;
    heard.heard("https://99.example", new Date(now).toUTCString());
    expect(readClockOffsets(instance.paths)).toEqual(kept);
    now += 2 * 60 * 60 * 1000;
    heard.heard("https://99.example", new Date(now).toUTCString());
    expect(readClockOffsets(instance.paths).at(-1)!.at).toBe(new Date(now).toISOString());
    writeFileSync(instance.paths.clocks, "[{]");
    expect(readClockOffsets(instance.paths)).toEqual([]);
    await instance.close();
  });

  test("tokens that end within a week are told, those that ended or were revoked are not", async () => {
    using folder = new ScratchFolder();
    const instance = await newInstance(folder, "home");
    const now = Date.now();
    const caller = { account: "local", scopes: ["admin"], actors: [] };
    expect((await rowsAt(instance, now)).tokens).toEqual({
      check: "tokens",
      result: "pass",
      detail: "none",
      fix: null,
    });
    const minted = (account: string, expiresAt: number | null) =>
      mintToken(instance, { account, scopes: ["records:read"], expiresAt }, caller);
    await minted("long", null);
    await minted("soon", now + 6 * DAY);
    const { id, expires_at } = await minted("sooner", now + 2 * DAY);
    expect((await rowsAt(instance, now)).tokens).toMatchObject({
      result: "warn",
      detail: `2 tokens ending within 7 days, first ${id} of sooner at ${expires_at}`,
      fix: `spl token create sooner --expires 90d, and when it is in use, spl token revoke ${id}`,
    });
    await revokeToken(instance, id, caller);
    expect((await rowsAt(instance, now)).tokens!.detail).toStartWith(
      "1 token ending within 7 days, first tok_",
    );
    expect((await rowsAt(instance, now + 8 * DAY)).tokens).toMatchObject({
      result: "pass",
      detail: "1 token, none ends within 7 days",
    });
    await instance.close();
  });

  test("a copied home that runs elsewhere is told while the daemon's own address is known", async () => {
    using folder = new ScratchFolder();
    const instance = await newInstance(folder, "home");
    await keepOwnStatement(instance, "http://127.0.0.1:9100");
    const now = Date.now();
    const at = async (url: string | null) => (await rowsAt(instance, now, { url })).steward!;
    for (const url of [null, "http://127.0.0.1:9100", "http://127.0.0.1:9100/"])
      expect(await at(url)).toMatchObject({ result: "pass" });
    const said = await instance.store.read(async (reader) =>
      ownStatement(await instance.signer(reader), "https://copy.example", Date.now() + 5),
    );
    await instance.store.transact((writer) => noteStatement(writer, said));
    expect(await at("http://127.0.0.1:9100")).toMatchObject({
      result: "warn",
      detail: "a copy of this home says that the identity lives at https://copy.example",
    });
    await instance.close();
  });
});
