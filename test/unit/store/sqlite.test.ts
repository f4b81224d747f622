import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { truncateSync, writeFileSync } from "node:fs";
import { SplError } from "../../../lib/base/errors.ts";
import { SCHEMA_VERSION } from "../../../lib/store/schema.ts";
import { SqliteStore } from "../../../lib/store/sqlite.ts";
import { makeEntry } from "../../kit/records.ts";
import { newStore, ScratchFolder } from "../../kit/store.ts";

function refusal(fn: () => unknown): { code: string; message: string } {
  try {
    fn();
  } catch (error) {
    if (error instanceof SplError) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("opening", () => {
  test("commits are synced in WAL mode", async () => {
    using folder = new ScratchFolder();
    const store = await newStore(folder);
    await store.close();
    const db = new Database(folder.file("hub.db"));
    expect(db.query("PRAGMA journal_mode").get()).toEqual({ journal_mode: "wal" });
    db.close();
  });

  test("a missing store is no empty store", () => {
    using folder = new ScratchFolder();
    expect(refusal(() => SqliteStore.open(folder.file("hub.db"))).code).toBe("not_initialized");
  });

  test("an empty file, garbage and another program's database are refused and stay as they are", async () => {
    using folder = new ScratchFolder();
    const foreign = new Database(folder.file("foreign"));
    foreign.run("CREATE TABLE t (x)");
    foreign.close();
    writeFileSync(folder.file("empty"), "");
    writeFileSync(folder.file("garbage"), "x".repeat(8192));
    for (const name of ["empty", "garbage", "foreign"]) {
      const before = await Bun.file(folder.file(name)).bytes();
      expect(refusal(() => SqliteStore.open(folder.file(name))).code).toBe("store_damaged");
      if (name !== "foreign") expect(await Bun.file(folder.file(name)).bytes()).toEqual(before);
    }
  });

  test("a truncated store is found damaged, never read as empty", async () => {
    using folder = new ScratchFolder();
    const store = await newStore(folder);
    await store.transact((writer) => writer.insert([makeEntry()]));
    await store.close();
    truncateSync(folder.file("hub.db"), 4096);
    const run = async () => {
      const opened = SqliteStore.open(folder.file("hub.db"));
      try {
        await opened.read((reader) => reader.totals());
      } finally {
        await opened.close();
      }
    };
    expect(run()).rejects.toMatchObject({ code: "store_damaged" });
  });

  test("a store of a newer release is refused with both versions", async () => {
    using folder = new ScratchFolder();
    const store = await newStore(folder);
    await store.close();
    const db = new Database(folder.file("hub.db"));
    db.run(`PRAGMA user_version = ${SCHEMA_VERSION + 1}`);
    db.close();
    const { code, message } = refusal(() => SqliteStore.open(folder.file("hub.db")));
    expect(code).toBe("store_newer");
    expect(message).toContain(`store schema ${SCHEMA_VERSION + 1}, this release knows ${SCHEMA_VERSION}`);
  });

  test("creating never replaces a store", async () => {
    using folder = new ScratchFolder();
    const store = await newStore(folder);
    await store.transact((writer) => writer.insert([makeEntry()]));
    await store.close();
    expect(newStore(folder)).rejects.toMatchObject({ code: "conflict" });
    await newStore(folder).catch(() => undefined);
    const again = SqliteStore.open(folder.file("hub.db"));
    expect((await again.read((reader) => reader.totals())).records).toBe(1);
    await again.close();
  });
});

describe("reading and writing", () => {
  test("a read sees one snapshot while others write", async () => {
    using folder = new ScratchFolder();
    const store = await newStore(folder);
    await store.read(async (reader) => {
      expect((await reader.totals()).records).toBe(0);
      await store.transact((writer) => writer.insert([makeEntry()]));
      expect((await reader.totals()).records).toBe(0);
    });
    expect((await store.read((reader) => reader.totals())).records).toBe(1);
    await store.close();
  });

  test("a write waits for another process's transaction and then happens", async () => {
    using folder = new ScratchFolder();
    const store = await newStore(folder);
    const other = new Database(folder.file("hub.db"));
    other.run("BEGIN IMMEDIATE");
    const writing = store.transact((writer) => writer.insert([makeEntry()]));
    expect((await store.read((reader) => reader.totals())).records).toBe(0);
    other.run("COMMIT");
    other.close();
    expect((await writing).inserted).toBe(1);
    await store.close();
  });

  test("close waits for what is running", async () => {
    using folder = new ScratchFolder();
    const store = await newStore(folder);
    const writing = store.transact((writer) => writer.insert([makeEntry()]));
    await store.close();
    expect((await writing).inserted).toBe(1);
  });

  test("a token is found by its hash together with its account", async () => {
    using folder = new ScratchFolder();
    const store = await newStore(folder);
    const hash = new Uint8Array(32).fill(9);
    await store.transact(async (writer) => {
      const account = {
        name: "ci",
        kind: "service",
        description: "",
        createdAt: 1,
        revokedAt: null,
      } as const;
      await writer.addAccount({ ...account, actors: [], scopes: ["records:read"] });
      expect(await writer.addAccount({ ...account, actors: [], scopes: ["admin"] })).toBe(false);
      await writer.addToken({
        hash,
        account: "ci",
        description: "",
        createdAt: 1,
        expiresAt: null,
        lastUsedAt: null,
        kind: "bearer",
        revokedAt: null,
        tradedFor: null,
      });
    });
    const found = await store.read((reader) => reader.token(hash));
    expect(found?.account.scopes).toEqual(["records:read"]);
    expect(await store.read((reader) => reader.token(new Uint8Array(32)))).toBeNull();
    await store.close();
  });
});
