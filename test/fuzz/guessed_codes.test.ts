import { expect, setDefaultTimeout, test } from "bun:test";
import type { Device, PairingCode, Redeemed } from "../../lib/api/wire.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { makeCode } from "../../lib/pairing/code.ts";
import { Daemon } from "../kit/daemon.ts";
import { ScratchHome } from "../kit/spl.ts";
import { LIMIT_MS } from "../kit/spread.ts";

/** Who tries pairing codes against the real program, from one address or from ten thousand. */

setDefaultTimeout(LIMIT_MS);

const GUESSES = 10_000;
/** About what any 10,000 requests leave behind. */
const GROWTH_MIB = 48;
const NONCE = "A".repeat(43);

function redeem(daemon: Daemon, code: string, from?: string): Promise<Response> {
  return daemon.tcp("/v1/devices/redeem", {
    method: "POST",
    headers: { "content-type": "application/json", ...(from && { "x-forwarded-for": from }) },
    body: JSON.stringify({ code, nonce: NONCE }),
  });
}

async function pair(daemon: Daemon, device: string): Promise<PairingCode> {
  return (await daemon.post("/v1/devices/pairings", { device })).json() as Promise<PairingCode>;
}

/** How often each status was answered. */
async function guess(n: number, once: (i: number) => Promise<Response>): Promise<Record<number, number>> {
  const counts: Record<number, number> = {};
  let at = 0;
  const lane = async () => {
    while (at < n) {
      const response = await once(at++);
      await response.body?.cancel();
      counts[response.status] = (counts[response.status] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: 50 }, lane));
  return counts;
}

test("10,000 wrong codes from one address: twenty are looked at, and nothing stays", async () => {
  using home = new ScratchHome();
  await using daemon = await Daemon.start(home);
  const { code } = await pair(daemon, "phone");
  await guess(1000, () => redeem(daemon, makeCode(systemRandom)));
  const before = daemon.residentMiB;
  const started = performance.now();
  expect(await guess(GUESSES, () => redeem(daemon, makeCode(systemRandom)))).toEqual({ 429: GUESSES });
  expect(performance.now() - started).toBeLessThan(30_000);
  expect(daemon.residentMiB - before).toBeLessThan(GROWTH_MIB);
  const refused = await redeem(daemon, code);
  expect([refused.status, Number(refused.headers.get("retry-after")) > 0]).toEqual([429, true]);
  // The code itself is still good, for whoever does not come from there.
  expect((await redeem(daemon, code, "192.0.2.1")).status).toBe(201);
});

test("10,000 wrong codes from as many addresses burn nothing that they do not name, and are forgotten", async () => {
  using home = new ScratchHome();
  await using daemon = await Daemon.start(home);
  const { code, id } = await pair(daemon, "phone");
  const address = (i: number) => `198.18.${i >> 8}.${i & 255}`;
  const before = daemon.residentMiB;
  const counts = await guess(GUESSES, (i) => {
    const other = makeCode(systemRandom);
    return redeem(daemon, other.startsWith(id) ? "rubbish" : other, address(i));
  });
  expect(counts).toEqual({ 403: GUESSES });
  expect(daemon.residentMiB - before).toBeLessThan(GROWTH_MIB);
  const redeemed = await redeem(daemon, code, "192.0.2.1");
  const { token } = (await redeemed.json()) as Redeemed;
  const headers = { authorization: `Bearer ${token}` };
  expect((await daemon.tcp("/v1/token", { headers })).status).toBe(200);
});

test("wrong codes that name the pairing burn it after five, also across a SIGKILL", async () => {
  using home = new ScratchHome();
  let daemon = await Daemon.start(home);
  const { code } = await pair(daemon, "phone");
  const wrong = code.slice(0, -1) + (code.endsWith("0") ? "1" : "0");
  expect(await guess(3, (i) => redeem(daemon, wrong, `198.51.100.${i}`))).toEqual({ 403: 3 });
  await daemon.end("SIGKILL");
  daemon = await Daemon.start(home);
  try {
    expect(await guess(2, (i) => redeem(daemon, wrong, `198.51.100.${i}`))).toEqual({ 403: 2 });
    expect((await redeem(daemon, code, "192.0.2.1")).status).toBe(403);
    expect(await daemon.json<Device[]>("/v1/devices")).toMatchObject([{ state: "refused" }]);
  } finally {
    await daemon[Symbol.asyncDispose]();
  }
});
