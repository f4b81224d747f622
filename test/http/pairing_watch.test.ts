import { expect, test } from "bun:test";
import { encodeStatement, STATEMENT } from "../../lib/federation/http_signature.ts";
import { listPairs, recordPair } from "../../lib/instance/federation.ts";
import { PairingWatch } from "../../server/pairing.ts";
import { TestApp } from "../kit/app.ts";
import { testSigner } from "../kit/records.ts";
import { statementOf } from "../kit/statements.ts";

const START = 1_772_366_400_000;
const peer = testSigner(1);

test("an approval that the other side could not tell of is asked for, less and less often", async () => {
  let now = START;
  const federation = { isolated: false, url: () => null, policy: { networks: [], loopback: true } };
  await using app = await TestApp.open({ federation, ports: { clock: () => now } });
  let state = "establishing";
  let asked = 0;
  using server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: ({ method }) => {
      expect(method).toBe("GET");
      asked++;
      const headers = { [STATEMENT]: encodeStatement(statementOf({ epoch: START }, peer)) };
      return Response.json({ state }, { headers });
    },
  });
  const { instance } = app.ctx;
  const url = `http://127.0.0.1:${server.port}`;
  await instance.store.transact((writer) =>
    recordPair(instance, writer, { peer_did: peer.did, url, state: "establishing" }),
  );
  const watch = new PairingWatch(app.ctx.federation);
  const counts: number[] = [];
  for (const seconds of [0, 4, 7, 1, 15, 1]) {
    now += seconds * 1000;
    await watch.tick();
    counts.push(asked);
  }
  expect(counts).toEqual([0, 1, 1, 2, 2, 3]);

  state = "none";
  now += 60_000;
  await watch.tick();
  expect(app.logged.at(-1)).toContain("it was rejected there");
  expect(await listPairs(instance)).toMatchObject([{ state: "establishing", approval: "there" }]);

  state = "active";
  now += 600_000;
  await watch.tick();
  expect(await listPairs(instance)).toMatchObject([{ state: "active", approval: null, url }]);
  expect(app.logged.at(-1)).toStartWith("paired");
  now += 600_000;
  await watch.tick();
  expect(asked).toBe(5);
});
