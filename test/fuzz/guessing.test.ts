import { Database } from "bun:sqlite";
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { statSync } from "node:fs";
import type { MintedToken, Token } from "../../lib/api/wire.ts";
import { tokenHash } from "../../lib/instance/tokens.ts";
import { Daemon } from "../kit/daemon.ts";
import { ScratchHome } from "../kit/spl.ts";
import { LIMIT_MS } from "../kit/spread.ts";

/** Who guesses, hurries or sends nonsense instead of a token, against the real program. */

setDefaultTimeout(LIMIT_MS);

const GUESSES = 10_000;
/** What the daemon may grow by while it refuses them: about what any 10,000 requests leave behind. */
const GROWTH_MIB = 48;
const WRONG = { authorization: `Bearer spl_live_x_${"A".repeat(43)}` };
const JSON_TYPE = { "content-type": "application/json" };

let home: ScratchHome;
let daemon: Daemon;
let token: string;

beforeAll(async () => {
  home = new ScratchHome();
  daemon = await Daemon.start(home);
  const minted = await daemon.post("/v1/tokens", { account: "ci", scopes: ["records:read"] });
  ({ token } = (await minted.json()) as MintedToken);
});

afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
  home[Symbol.dispose]();
});

/** How often each status was answered. */
async function counted(n: number, call: (i: number) => Promise<Response>): Promise<Record<number, number>> {
  const counts: Record<number, number> = {};
  let at = 0;
  const lane = async () => {
    while (at < n) {
      const { status } = await answered(call(at++));
      counts[status] = (counts[status] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: 50 }, lane));
  return counts;
}

async function answered(response: Promise<Response>): Promise<{ status: number; body: string }> {
  const answer = await response;
  return { status: answer.status, body: await answer.text() };
}

function trade(over: "fetch" | "tcp", bearer: string, lasting: string): Promise<Response> {
  return daemon[over]("/v1/token/trade", {
    method: "POST",
    headers: { ...JSON_TYPE, authorization: `Bearer ${bearer}` },
    body: JSON.stringify({ token_sha256: tokenHash(lasting).toHex() }),
  });
}

const signedIn = () => daemon.tcp("/v1/status", { headers: { authorization: `Bearer ${token}` } });

test("10,000 wrong tokens and 10,000 wrong trades cost nothing that lasts, and keep nobody out", async () => {
  const warm = await counted(1000, () => daemon.tcp("/v1/status", { headers: WRONG }));
  // Those that were on their way when the limit was reached are refused either way.
  expect(warm[401]).toBe(20);
  const before = { memory: daemon.residentMiB, log: statSync(daemon.paths.log).size };
  const good: number[] = [];
  const tokens = await counted(GUESSES, async (i) => {
    if (i % 1000 === 0) good.push((await answered(signedIn())).status);
    return daemon.tcp("/v1/status", { headers: WRONG });
  });
  expect(tokens).toEqual({ 429: GUESSES });
  const trades = await counted(GUESSES, () => trade("tcp", "spl_boot_bootstrap_wrong", "x"));
  expect(trades).toEqual({ 429: GUESSES });
  expect(good).toEqual(new Array(10).fill(200));
  expect(daemon.residentMiB - before.memory).toBeLessThan(GROWTH_MIB);
  expect(statSync(daemon.paths.log).size - before.log).toBeLessThan(10_000);
  expect(statSync(daemon.paths.db).size).toBeLessThan(1024 * 1024);
});

test("a crowd of addresses costs no more, and does not free the one that waits", async () => {
  await counted(30, () => daemon.tcp("/v1/status", { headers: WRONG }));
  const before = daemon.residentMiB;
  const counts = await counted(GUESSES, (i) => {
    const address = `2001:db8:${(i >> 8).toString(16)}:${(i & 255).toString(16)}::1`;
    return daemon.tcp("/v1/status", { headers: { ...WRONG, "x-forwarded-for": address } });
  });
  expect(counts).toEqual({ 401: GUESSES });
  expect(daemon.residentMiB - before).toBeLessThan(GROWTH_MIB);
  expect(statSync(daemon.paths.db).size).toBeLessThan(4 * 1024 * 1024);
  expect((await answered(daemon.tcp("/v1/status", { headers: WRONG }))).status).toBe(429);
  expect((await answered(signedIn())).status).toBe(200);
});

test("who has to wait still has to after a restart, even one by SIGKILL", async () => {
  await counted(30, () => daemon.tcp("/v1/status", { headers: WRONG }));
  await untilKept();
  for (const signal of ["SIGKILL", "SIGTERM"] as const) {
    await daemon.end(signal);
    daemon = await Daemon.start(home);
    const refused = await daemon.tcp("/v1/status", { headers: WRONG });
    const wait = Number(refused.headers.get("retry-after"));
    expect([refused.status, wait > 0 && wait <= 600]).toEqual([429, true]);
    expect((await answered(trade("tcp", "spl_boot_bootstrap_wrong", "x"))).status).toBe(429);
    expect((await signedIn()).status).toBe(200);
  }
});

/** The limit is written behind: waits until it is on disk. */
async function untilKept(): Promise<void> {
  const db = new Database(daemon.paths.db, { readonly: true });
  const count = db.query<{ n: number }, []>("SELECT count(*) AS n FROM attempts WHERE failures >= 20");
  while (count.get()!.n === 0) await daemon.fetch("/health");
  db.close();
}

test("tokens that are oversized, cut, foreign or no text at all are refused in words", async () => {
  using fresh = new ScratchHome();
  await using other = await Daemon.start(fresh);
  const bearers: [string, number][] = [
    [token, 401],
    [token.slice(0, -1), 401],
    [token.slice(0, 20), 401],
    ["x".repeat(10_000), 401],
    ["é\u{7f}", 401],
    ["two words", 401],
    ["", 401],
    ["%00%0a", 401],
    ["../../etc/passwd", 401],
    ["x".repeat(1_000_000), 431],
  ];
  for (const [bearer, expected] of bearers) {
    const { status, body } = await answered(
      other.tcp("/v1/status", {
        headers: { authorization: `Bearer ${Buffer.from(bearer).toString("latin1")}` },
      }),
    );
    expect({ bearer: bearer.slice(0, 30), status }).toEqual({
      bearer: bearer.slice(0, 30),
      status: expected,
    });
    if (bearer.length > 2) expect(body).not.toContain(bearer);
    if (status === 401)
      expect(JSON.parse(body)).toMatchObject({
        code: "unauthorized",
        hint: expect.stringContaining("spl token"),
      });
  }
  expect((await other.fetch("/health")).status).toBe(200);
});

test("of fifty who bootstrap at once one gets the account, and after a bootstrap token none", async () => {
  const bootstrap = { bootstrap: true, with_token: true };
  for (const seeded of [false, true]) {
    using fresh = new ScratchHome();
    const env = { SPL_BOOTSTRAP_TOKEN: "spl_chosen-by-the-hoster" };
    await using other = await Daemon.start(fresh, seeded ? { env } : {});
    const counts = await counted(50, () => other.post("/v1/service-accounts", bootstrap));
    expect(counts).toEqual(seeded ? { 409: 50 } : { 201: 1, 409: 49 });
    await other.end("SIGTERM");
    await using again = await Daemon.start(fresh);
    expect((await again.post("/v1/service-accounts", bootstrap)).status).toBe(409);
  }
});

test("of fifty trades of one bootstrap token one wins, and its winner may ask again", async () => {
  const minted = await daemon.post("/v1/bootstrap-tokens", {});
  const { token: bootstrap } = (await minted.json()) as MintedToken;
  const lasting = Array.from({ length: 50 }, (_, i) => `spl_live_bootstrap_${i}`);
  const won: string[] = [];
  const counts = await counted(50, async (i) => {
    const response = await trade("fetch", bootstrap, lasting[i]!);
    if (response.status === 201) won.push(lasting[i]!);
    return response;
  });
  expect(counts).toEqual({ 201: 1, 401: 49 });
  const works = async (secret: string) =>
    (await daemon.tcp("/v1/tokens", { headers: { authorization: `Bearer ${secret}` } })).status;
  expect(await works(won[0]!)).toBe(200);
  const ids = new Set<string>();
  await Promise.all(
    Array.from({ length: 50 }, async () => {
      const response = await trade("fetch", bootstrap, won[0]!);
      ids.add(`${response.status} ${((await response.json()) as Token).id}`);
    }),
  );
  expect(ids.size).toBe(1);
  expect([...ids][0]).toStartWith("201 tok_");
});
