import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { chmodSync } from "node:fs";
import { join } from "node:path";
import { SplError } from "../../../lib/base/errors.ts";
import { type DoctorOptions, examine } from "../../../lib/instance/doctor.ts";
import { fill, newInstance } from "../../kit/instances.ts";
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
});
