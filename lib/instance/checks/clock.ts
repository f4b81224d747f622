import { fromUtf8 } from "../../base/bytes.ts";
import { isoTime } from "../../base/clock.ts";
import type { JsonObject } from "../../record/types.ts";
import type { Reader } from "../../store/types.ts";
import { readClockOffsets } from "../clock_offsets.ts";
import { listPairs } from "../federation.ts";
import type { Instance } from "../instance.ts";
import { knownStatement } from "../steward.ts";
import { type InstanceCheck, pass, type Result, warn } from "./result.ts";

/** As long as a signature between pairs holds: beyond it they refuse each other. */
const MOST_MS = 60_000;
/** What was heard of another's clock longer ago says nothing of today's. */
const FRESH_MS = 24 * 60 * 60 * 1000;
/** How many of the records that came last are looked at. */
const LAST_RECORDS = 256;
const SET = "timedatectl set-ntp true, on the machine whose clock is wrong";

/**
 * Whether this machine's clock can be right, by what is known here without asking anybody: nothing of its own may lie in
 * the future, no peer may have signed anything there, and the clocks that the daemon heard of have to agree.
 */
export const clock: InstanceCheck = {
  name: "clock",
  async run(instance) {
    const now = instance.ports.clock();
    const ahead = await latestKnown(instance, now + MOST_MS);
    if (ahead !== null) {
      return warn(`${ahead.what} lies ahead of this machine's clock (${isoTime(ahead.at)})`, SET);
    }
    return heard(instance, now);
  },
};

function heard({ paths }: Instance, now: number): Result {
  const fresh = readClockOffsets(paths).filter(({ at }) => Math.abs(now - Date.parse(at)) < FRESH_MS);
  const [worst] = fresh.sort((a, b) => Math.abs(b.offset_ms) - Math.abs(a.offset_ms));
  if (!worst) return pass("nothing known here lies in the future");
  const { origin, offset_ms } = worst;
  const apart = `${(Math.abs(offset_ms) / 1000).toFixed(0)} s`;
  if (Math.abs(offset_ms) <= MOST_MS) return pass(`within ${apart} of ${origin}`);
  return warn(
    `the clock of ${origin} is ${apart} ${offset_ms > 0 ? "ahead of" : "behind"} this machine's`,
    SET,
  );
}

interface Moment {
  what: string;
  at: number;
}

/** Something that says a time after `limit`, or null. */
function latestKnown(instance: Instance, limit: number): Promise<Moment | null> {
  return instance.store.read(async (reader) => {
    const { did, epoch } = await instance.signer(reader);
    if (epoch > limit) return { what: "the epoch", at: epoch };
    const [event] = await reader.audit({ since: limit, limit: 1 });
    if (event) return { what: `the audit's ${event.event}`, at: event.at };
    const record = await ownRecordAfter(reader, did, limit);
    if (record) return record;
    for (const { peer_did } of await listPairs(instance)) {
      const said = await knownStatement(reader, peer_did);
      if (said && Date.parse(said.issued_at) > limit)
        return { what: `what ${peer_did} signed`, at: Date.parse(said.issued_at) };
    }
    return null;
  });
}

/** Of the latest records, one of this instance whose `at`, which the command line writes, is after `limit`. */
async function ownRecordAfter(reader: Reader, did: string, limit: number): Promise<Moment | null> {
  const after = Math.max(0, (await reader.lastSeq()) - LAST_RECORDS);
  for await (const entries of reader.since(after, { limit: LAST_RECORDS })) {
    for (const { id, signer, canonical } of entries) {
      if (signer !== did) continue;
      const { body } = JSON.parse(fromUtf8(canonical) ?? "{}") as { body?: JsonObject };
      const at = typeof body?.at === "string" && /T.+Z$/.test(body.at) ? Date.parse(body.at) : Number.NaN;
      if (at > limit) return { what: `record ${id.slice(0, 12)}`, at };
    }
  }
  return null;
}
