import { isoTime } from "../base/clock.ts";
import { SplError } from "../base/errors.ts";
import { MAX_DID_BYTES } from "../base/limits.ts";
import { compareAscii } from "../base/text.ts";
import { nextTurn } from "../base/turn.ts";
import { RESERVED_THREADS } from "../folds/reserved.ts";
import { type Trust, TrustFold } from "../folds/trust.ts";
import type { Reader } from "../store/types.ts";
import { emit } from "./emit.ts";
import type { Instance } from "./instance.ts";
import { foldReserved } from "./reserved.ts";
import { collect, type Page } from "./threads.ts";
import type { ActorSummary, Emitted } from "./types.ts";

export interface ActorDetail extends ActorSummary {
  threads: number;
  /** DIDs of the instances that signed its records. */
  signers: string[];
  /** Lowest and highest clock of its records; null without any. */
  first_clock: number | null;
  last_clock: number | null;
  /** Instances from which it was taken in, and what their outcomes count here. */
  origins: { did: string; weight: number }[];
  /** By domain; empty without outcomes. */
  trust: Trust[];
}

/** Everyone who wrote a record or is registered, in byte order of the DID. */
export function listActors(
  instance: Instance,
  page: { after?: string; limit: number },
): Promise<Page<ActorSummary>> {
  return instance.store.read(async (reader) => {
    const names = (await foldReserved(instance, reader)).actors.result();
    const counts = new Map((await collect(reader.actors(page))).map((row) => [row.actor, row.records]));
    const after = page.after ?? "";
    for (const actor of names.keys()) if (actor > after && !counts.has(actor)) counts.set(actor, 0);
    const items = [...counts]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .slice(0, page.limit)
      .map(([actor, records]) => ({
        actor,
        name: names.get(actor) ?? null,
        records,
        registered: names.has(actor),
      }));
    return { items, next: items.length === page.limit ? (items.at(-1)?.actor ?? null) : null };
  });
}

/**
 * One actor: what it wrote and where, who signed it, and how far it can be relied on.
 * @throws SplError not_found
 */
export function showActor(instance: Instance, actor: string): Promise<ActorDetail> {
  return instance.store.read(async (reader) => {
    const { did, actors, origins } = await foldReserved(instance, reader);
    const names = actors.result();
    const records = await actorRecords(reader, actor);
    if (records === 0 && !names.has(actor)) throw unknownActor(actor);
    const trust = new TrustFold(did, origins, instance.ports.clock());
    const signers = new Set<string>();
    const clocks = { first: Number.POSITIVE_INFINITY, last: -1 };
    let threads = 0;
    let thread = "";
    for await (const entries of reader.entries()) {
      for (const entry of entries) {
        trust.add(entry);
        if (entry.actor !== actor) continue;
        if (entry.thread !== thread) threads++;
        thread = entry.thread;
        signers.add(entry.signer);
        clocks.first = Math.min(clocks.first, entry.clock);
        clocks.last = Math.max(clocks.last, entry.clock);
      }
      await nextTurn();
    }
    return {
      actor,
      name: names.get(actor) ?? null,
      registered: names.has(actor),
      records,
      threads,
      signers: [...signers].sort(compareAscii),
      first_clock: records === 0 ? null : clocks.first,
      last_clock: records === 0 ? null : clocks.last,
      origins: [...origins.of(actor)].map(([from, weight]) => ({ did: from, weight })),
      trust: trust.result().filter((each) => each.actor === actor),
    };
  });
}

/** How many records of this actor are here. */
export async function actorRecords(reader: Reader, actor: string): Promise<number> {
  // Its beginning sorts right before it.
  for await (const rows of reader.actors({ after: actor.slice(0, -1) })) {
    for (const row of rows) {
      if (row.actor === actor) return row.records;
      if (row.actor > actor) return 0;
    }
  }
  return 0;
}

export function unknownActor(actor: string): SplError {
  return new SplError("not_found", `there is no actor ${actor.slice(0, MAX_DID_BYTES)}`, {
    hint: "spl actor list shows who there is",
  });
}

/** Writes the registration as a record on `th_actor_registry`. */
export async function registerActor(
  instance: Instance,
  { actor, name, by }: { actor: string; name?: string; by: string },
): Promise<Emitted> {
  // The time makes it this instance's own: the same record of two would be kept under one signature, and count in one.
  const at = isoTime(instance.ports.clock());
  const body = { topic: "actor", actor, ...(name === undefined ? {} : { name }), at };
  const [emitted] = await emit(
    instance,
    [{ thread: RESERVED_THREADS.actors, act: "LEARN", body, data_type: "SCALAR", judged_by: null }],
    { actor: by },
  );
  return emitted!;
}
