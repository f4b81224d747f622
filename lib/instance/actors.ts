import { RESERVED_THREADS } from "../folds/reserved.ts";
import { emit } from "./emit.ts";
import type { Instance } from "./instance.ts";
import { foldReserved } from "./reserved.ts";
import { collect, type Page } from "./threads.ts";
import type { ActorSummary, Emitted } from "./types.ts";

/** Everyone who wrote a record or is registered, in byte order of the DID. */
export function listActors(
  instance: Instance,
  page: { after?: string; limit: number },
): Promise<Page<ActorSummary>> {
  return instance.store.read(async (reader) => {
    const { did } = await instance.signer(reader);
    const names = (await foldReserved(reader, did)).actors.result();
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

/** Writes the registration as a record on `th_actor_registry`. */
export async function registerActor(
  instance: Instance,
  { actor, name, by }: { actor: string; name?: string; by: string },
): Promise<Emitted> {
  const body = { topic: "actor", actor, ...(name === undefined ? {} : { name }) };
  const [emitted] = await emit(
    instance,
    [{ thread: RESERVED_THREADS.actors, act: "LEARN", body, data_type: "SCALAR", judged_by: null }],
    { actor: by },
  );
  return emitted!;
}
