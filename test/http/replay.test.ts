import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import type { Problem } from "../../lib/api/problem.ts";
import { homePaths } from "../../lib/base/home.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { signRequest } from "../../lib/federation/http_signature.ts";
import { serve } from "../../server/serve.ts";
import { testSigner } from "../kit/records.ts";
import { statementOf } from "../kit/statements.ts";
import { ScratchFolder } from "../kit/store.ts";

test("a request that was let in once is not let in again by the same home, started anew", async () => {
  using folder = new ScratchFolder();
  const home = folder.file("home");
  const caller = testSigner(1);
  const start = () => serve({ home, port: 0, insecureLocalhost: true });
  const path = "/federation/v1/records";
  /** A request of a peer whose clock runs half a minute ahead. */
  const signed = (to: string) =>
    signRequest({ method: "GET", path, body: null, to }, statementOf({ url: null }, caller), caller.key, {
      clock: () => Date.now() + 30_000,
      random: systemRandom,
    });
  const first = await start();
  const did = first.instance_did;
  const body = { topic: "pair", peer_did: caller.did, url: "https://caller.example", state: "active" };
  const record = { thread: "th_federation_pairs", actor: did, act: "LEARN", body };
  const written = await fetch(`${first.url}/v1/records`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(record),
  });
  expect(written.status).toBe(201);
  const headers = signed(did);
  expect((await fetch(first.url + path, { headers })).status).toBe(200);
  await first.stop();
  const second = await start();
  try {
    const again = await fetch(second.url + path, { headers });
    expect((await again.json()) as Problem).toMatchObject({
      code: "signature_refused",
      detail: expect.stringContaining("a signature counts once"),
    });
    expect((await fetch(second.url + path, { headers: signed(did) })).status).toBe(200);
    // Good for one start: after a crash it would not know what came since.
    expect(existsSync(homePaths(home).nonces)).toBe(false);
  } finally {
    await second.stop();
  }
});
