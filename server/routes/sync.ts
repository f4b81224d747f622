import { JSON_TYPE, NDJSON_TYPE } from "../../lib/api/media.ts";
import { DiffStep, DiffStepTaken, SyncOutcome, SyncRequest } from "../../lib/api/schemas.ts";
import { fromBase64UrlText, toBase64Url, toHex } from "../../lib/base/bytes.ts";
import { SplError } from "../../lib/base/errors.ts";
import { MAX_MESSAGE_BYTES, openReconciliation, stepReconciliation } from "../../lib/federation/reconcile.ts";
import type { SyncOutcome as Outcome } from "../../lib/federation/syncs.ts";
import type { Pair } from "../../lib/folds/pairs.ts";
import { isReserved } from "../../lib/folds/reserved.ts";
import { listPairs, showPair } from "../../lib/instance/federation.ts";
import type { Selection } from "../../lib/store/types.ts";
import { json, ndjson } from "../answer.ts";
import { type Call, type Route, route } from "../route.ts";
import { readJson } from "../stages/body.ts";

/** Syncs that go on at the same time on request. */
const AT_ONCE = 4;
const EVERYTHING: Selection = { namespaces: null, threads: null, without: [] };

export const syncRoutes: Route[] = [
  route({
    method: "POST",
    path: "/v1/federation/sync",
    summary: "Pulls from all active pairs, or from one; a line for each as it ends",
    scope: "federation:manage",
    patient: true,
    bodies: { [JSON_TYPE]: { limit: 4096, shape: SyncRequest } },
    answers: { 200: { [NDJSON_TYPE]: SyncOutcome } },
    async handle(call) {
      const { from, thread } = await readJson(call, SyncRequest);
      refuseReserved(thread);
      const pairs = await pairsToSync(call, from);
      const { syncs } = call.ctx;
      const outcomes = pairs.map(
        (pair) => () => (thread === undefined ? syncs.sync(pair) : syncs.syncThread(pair, thread)),
      );
      return ndjson(call, lines(outcomes));
    },
  }),
  route({
    method: "POST",
    path: "/v1/reconcile",
    summary: "One step in comparing all records with those of another instance (negentropy, version 1)",
    scope: "records:read",
    bodies: { [JSON_TYPE]: { limit: 2 * MAX_MESSAGE_BYTES, shape: DiffStep } },
    answers: { 200: { [JSON_TYPE]: DiffStepTaken } },
    async handle(call) {
      const { message, role } = await readJson(call, DiffStep);
      const { store } = call.ctx.instance;
      if (message === null) {
        const first = await store.read((reader) => openReconciliation(reader, EVERYTHING));
        return json({ message: toBase64Url(first), have: [], need: [] });
      }
      const bytes = fromBase64UrlText(message);
      if (bytes === null) throw new SplError("invalid_request", "message: is no base64url");
      const step = await store.read((reader) => stepReconciliation(reader, EVERYTHING, bytes, role));
      return json({
        message: step.message && toBase64Url(step.message),
        have: step.have.map(toHex),
        need: step.need.map(toHex),
      });
    },
  }),
];

/** @throws SplError usage */
function refuseReserved(thread: string | undefined): void {
  if (thread === undefined || !isReserved(thread)) return;
  throw new SplError("usage", `${thread} holds an instance's own state, which no sync carries`, {
    hint: "spl export does, for another home of the same identity",
  });
}

/** @throws SplError not_found, usage; conflict for a pair that is not active */
async function pairsToSync({ ctx }: Call, from: string | undefined): Promise<Pair[]> {
  if (from === undefined) return (await listPairs(ctx.instance)).filter(({ state }) => state === "active");
  const pair = await showPair(ctx.instance, from);
  if (pair.state === "active") return [pair];
  throw new SplError("conflict", `the pair with ${pair.peer_did} is ${pair.state}`, {
    hint: `spl federation show ${pair.id.slice(0, 12)} tells more`,
  });
}

/** Outcomes in the order in which they come. */
async function* lines(work: (() => Promise<Outcome>)[]): AsyncGenerator<string> {
  const running = new Map<number, Promise<[number, Outcome]>>();
  for (let next = 0; next < work.length || running.size > 0; ) {
    while (next < work.length && running.size < AT_ONCE) {
      const n = next++;
      running.set(
        n,
        work[n]!().then((outcome) => [n, outcome]),
      );
    }
    const [n, outcome] = await Promise.race(running.values());
    running.delete(n);
    yield `${JSON.stringify(outcome)}\n`;
  }
}
