import { expect, test } from "bun:test";
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import {
  credentialsPath,
  forgetToken,
  pendingTrade,
  savedToken,
  saveToken,
  setPendingTrade,
} from "../../../lib/client/credentials.ts";
import { ScratchFolder } from "../../kit/store.ts";

const A = "https://a.example";
const B = "https://b.example/i/x";
const TRADE = { token: "spl_live_bootstrap_new", bootstrap: "ab".repeat(32) };

/** A config folder that is not there yet. */
function person() {
  const folder = new ScratchFolder();
  const env = { XDG_CONFIG_HOME: folder.file("config") };
  return { env, path: credentialsPath(env), [Symbol.dispose]: () => folder[Symbol.dispose]() };
}

test("a token is kept for its URL alone, in a file and folder of its owner's", () => {
  using me = person();
  const umask = process.umask(0);
  try {
    saveToken(me.env, A, "spl_a");
  } finally {
    process.umask(umask);
  }
  saveToken(me.env, B, "spl_b");
  expect([savedToken(me.env, A), savedToken(me.env, B)]).toEqual(["spl_a", "spl_b"]);
  expect(savedToken(me.env, "https://a.example/i/x")).toBeNull();
  for (const name of readdirSync(dirname(me.path))) {
    expect(statSync(join(dirname(me.path), name)).mode & 0o077).toBe(0);
  }
  expect(statSync(dirname(me.path)).mode & 0o777).toBe(0o700);
  expect(JSON.parse(readFileSync(me.path, "utf8"))).toEqual({
    [A]: { token: "spl_a" },
    [B]: { token: "spl_b" },
  });
});

test("a pending trade leaves the token before it alone until another is saved", () => {
  using me = person();
  saveToken(me.env, A, "spl_old");
  setPendingTrade(me.env, A, TRADE);
  expect(savedToken(me.env, A)).toBe("spl_old");
  expect(pendingTrade(me.env, A)).toEqual(TRADE);
  setPendingTrade(me.env, A, null);
  expect([savedToken(me.env, A), pendingTrade(me.env, A)]).toEqual(["spl_old", null]);
  setPendingTrade(me.env, A, TRADE);
  saveToken(me.env, A, TRADE.token);
  expect([savedToken(me.env, A), pendingTrade(me.env, A)]).toEqual([TRADE.token, null]);
});

test("forgetting takes token and trade of one URL, and says whether there were any", () => {
  using me = person();
  expect(forgetToken(me.env, A)).toBe(false);
  expect(existsSync(me.path)).toBe(false);
  saveToken(me.env, A, "spl_a");
  saveToken(me.env, B, "spl_b");
  setPendingTrade(me.env, A, TRADE);
  expect(forgetToken(me.env, A)).toBe(true);
  expect([savedToken(me.env, A), pendingTrade(me.env, A), savedToken(me.env, B)]).toEqual([
    null,
    null,
    "spl_b",
  ]);
  expect(readFileSync(me.path, "utf8")).not.toContain("spl_a");
  expect(forgetToken(me.env, A)).toBe(false);
});

test("many that save at once lose nothing", async () => {
  using me = person();
  const module = join(import.meta.dir, "../../../lib/client/credentials.ts");
  const children = Array.from({ length: 8 }, (_, n) =>
    Bun.spawn(
      [
        process.execPath,
        "-e",
        `const { saveToken } = await import(${JSON.stringify(module)});
         for (let i = 0; i < 10; i++) saveToken(process.env, "https://h${n}-" + i + ".example", "spl_${n}_" + i);`,
      ],
      { env: me.env, stdio: ["ignore", "inherit", "inherit"] },
    ),
  );
  expect(await Promise.all(children.map((child) => child.exited))).toEqual(children.map(() => 0));
  for (let n = 0; n < 8; n++) {
    for (let i = 0; i < 10; i++)
      expect(savedToken(me.env, `https://h${n}-${i}.example`)).toBe(`spl_${n}_${i}`);
  }
});

test("a file that others can read, or that is damaged, is neither used nor replaced", () => {
  using me = person();
  saveToken(me.env, A, "spl_a");
  const attempts = [
    () => savedToken(me.env, A),
    () => saveToken(me.env, B, "spl_b"),
    () => setPendingTrade(me.env, A, TRADE),
    () => forgetToken(me.env, A),
  ];
  chmodSync(me.path, 0o640);
  for (const attempt of attempts) expect(attempt).toThrow("can be read by others");
  chmodSync(me.path, 0o600);
  for (const text of ["", "[]", `{"${A}":"spl_a"}`, `{"${A}":{"pending":{"token":"x"}}}`]) {
    writeFileSync(me.path, text);
    for (const attempt of attempts) expect(attempt).toThrow("is not a JSON object of base URLs and tokens");
    expect(readFileSync(me.path, "utf8")).toBe(text);
  }
});
