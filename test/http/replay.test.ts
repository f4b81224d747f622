import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import type { Problem } from "../../lib/api/problem.ts";
import { homePaths } from "../../lib/base/home.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { signRequest } from "../../lib/federation/http_signature.ts";
import { type RunningServer, serve } from "../../server/serve.ts";
import { testSigner } from "../kit/records.ts";
import { statementOf } from "../kit/statements.ts";
import { ScratchFolder } from "../kit/store.ts";

const caller = testSigner(1);
const path = "/federation/v1/records";

/** A home that is paired with `caller`, and how it is started. */
async function pairedHome(
  folder: ScratchFolder,
): Promise<{ home: string; start: () => Promise<RunningServer> }> {
  const home = folder.file("home");
  const start = () => serve({ home, port: 0, insecureLocalhost: true });
  const server = await start();
  const did = server.instance_did;
  const body = { topic: "pair", peer_did: caller.did, url: "https://caller.example", state: "active" };
  const written = await fetch(`${server.url}/v1/records`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ thread: "th_federation_pairs", actor: did, act: "LEARN", body }),
  });
  expect(written.status).toBe(201);
  await server.stop();
  return { home, start };
}

/** A request of the peer, signed so many milliseconds from now by its clock. */
function signed(to: string, aheadMs: number): Headers {
  return signRequest(
    { method: "GET", path, body: null, to },
    statementOf({ url: null }, caller),
    caller.key,
    {
      clock: () => Date.now() + aheadMs,
      random: systemRandom,
    },
  );
}

test("a request that was let in once is not let in again by the same home, started anew", async () => {
  using folder = new ScratchFolder();
  const { home, start } = await pairedHome(folder);
  const first = await start();
  // The peer's clock runs half a minute ahead.
  const headers = signed(first.instance_did, 30_000);
  expect((await fetch(first.url + path, { headers })).status).toBe(200);
  await first.stop();
  const second = await start();
  try {
    const again = await fetch(second.url + path, { headers });
    expect((await again.json()) as Problem).toMatchObject({
      code: "signature_refused",
      detail: expect.stringContaining("a signature counts once"),
    });
    expect((await fetch(second.url + path, { headers: signed(second.instance_did, 30_000) })).status).toBe(
      200,
    );
    // Good for one start: after a crash it would not know what came since.
    expect(existsSync(homePaths(home).nonces)).toBe(false);
  } finally {
    await second.stop();
  }
});

test("a request that was signed before the start is let in by a home that was stopped in order, and heard nobody before", async () => {
  using folder = new ScratchFolder();
  const { start } = await pairedHome(folder);
  const server = await start();
  try {
    const headers = signed(server.instance_did, -10_000);
    expect((await fetch(server.url + path, { headers })).status).toBe(200);
    expect((await fetch(server.url + path, { headers })).status).toBe(401);
  } finally {
    await server.stop();
  }
});
