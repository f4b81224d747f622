import { isoTime } from "../base/clock.ts";
import { SplError } from "../base/errors.ts";
import { MAX_CLOCK_JUMP, MAX_PARENTS } from "../base/limits.ts";
import { compareAscii } from "../base/text.ts";
import { nextTurn } from "../base/turn.ts";
import { signRecord } from "../identity/record_signature.ts";
import { sealEntry } from "../record/envelope.ts";
import type { Emission } from "../record/shape.ts";
import type { Entry, JsonObject } from "../record/types.ts";
import type { Writer } from "../store/types.ts";
import type { Instance, Signer } from "./instance.ts";
import { requireActive } from "./steward.ts";
import type { EmissionDefaults, Emitted } from "./types.ts";

/** Records after which a long batch lets the event loop go on: some 10 ms. */
const BREATH = 100;

/** A thread while a batch is added to it: what the next record is assigned. */
interface OpenThread {
  clock: number;
  heads: Map<string, number>;
  /** More heads than one record may name: the rest must be read again after it. */
  crowded: boolean;
}

/**
 * Assigns parents, clock and signature, and stores all of them in one transaction: all or none.
 * @throws SplError superseded; fork_refused when `(thread, actor, clock)` is taken by another record; invalid_record for
 *   parents that the thread does not hold or a clock that is not above its parents'; `detail.index` is the place
 *   of the refused one in `emissions`
 */
export function emit(
  instance: Instance,
  emissions: Emission[],
  defaults: EmissionDefaults,
): Promise<Emitted[]> {
  return instance.store.transact((writer) => emitWith(instance, writer, emissions, defaults));
}

/** `emit` inside the caller's transaction. @throws SplError superseded, and what `emit` throws */
export async function emitWith(
  instance: Instance,
  writer: Writer,
  emissions: Emission[],
  defaults: EmissionDefaults,
): Promise<Emitted[]> {
  const signer = await instance.signer(writer);
  await requireActive(writer, signer);
  const batch = new EmissionBatch(writer, signer);
  const results: Emitted[] = [];
  for (const [index, emission] of emissions.entries()) {
    try {
      results.push(await batch.add({ ...emission, actor: emission.actor ?? defaults.actor }));
    } catch (error) {
      throw error instanceof SplError ? error.retold({ detail: { index } }) : error;
    }
    if (index % BREATH === BREATH - 1) {
      await batch.flush();
      // The writer stays ours; readers and other requests get their turn.
      await nextTurn();
    }
  }
  await batch.flush();
  return results;
}

/**
 * Writes a record of the instance itself, said by its own DID, on one of the threads that it steers itself by.
 * @returns the record's id
 * @throws SplError superseded
 */
export async function emitOwn(
  instance: Instance,
  writer: Writer,
  thread: string,
  facts: JsonObject,
): Promise<string> {
  const { did } = await instance.signer(writer);
  const body = { ...facts, at: isoTime(instance.ports.clock()) };
  const emission = { thread, act: "LEARN", body, data_type: "SCALAR", judged_by: null } as const;
  const [emitted] = await emitWith(instance, writer, [emission], { actor: did });
  return emitted!.id;
}

class EmissionBatch {
  readonly #threads = new Map<string, OpenThread>();
  #pending = new Map<string, Entry>();

  constructor(
    readonly writer: Writer,
    readonly signer: Signer,
  ) {}

  async add(emission: Emission & { actor: string }): Promise<Emitted> {
    const { thread: name, actor, act, body, data_type, judged_by } = emission;
    const thread = await this.#open(name);
    const parents = emission.parents ?? topHeads(thread);
    const clock = emission.clock ?? thread.clock + 1;
    if (!Number.isSafeInteger(clock))
      throw new SplError("invalid_record", `the clock of ${name} is exhausted`);
    if (emission.parents) await this.#checkParents(name, emission.parents, clock);
    const entry = this.#seal(
      { parents, thread: name, actor, act, body, clock, data_type },
      judged_by ?? null,
    );
    const emitted = { id: entry.id, thread: name, clock, deduplicated: false };
    if (clock <= thread.clock) {
      await this.flush();
      const occupants = await this.writer.occupants(name, actor, clock);
      if (occupants.includes(entry.id)) {
        await this.#requireSameJudgement(entry);
        return { ...emitted, deduplicated: true };
      }
      if (occupants.length > 0) {
        throw new SplError(
          "fork_refused",
          `${actor} has written clock ${clock} of ${name} already (${occupants[0]})`,
          {
            hint: "leave out clock to append behind the thread's heads",
          },
        );
      }
    } else if (clock - thread.clock > MAX_CLOCK_JUMP) {
      throw new SplError("invalid_record", `clock ${clock} is more than 2^32 above the highest of ${name}`);
    }
    this.#pending.set(entry.id, entry);
    for (const parent of parents) thread.heads.delete(parent);
    thread.heads.set(entry.id, clock);
    thread.clock = Math.max(thread.clock, clock);
    if (thread.crowded) {
      await this.flush();
      this.#threads.delete(name);
    }
    return emitted;
  }

  /** A record's judgement is given once: saying it is known under another one would drop that one silently. */
  async #requireSameJudgement({ id, judged_by }: Entry): Promise<void> {
    const known = await this.writer.record(id);
    if (known?.judged_by === judged_by) return;
    throw new SplError("conflict", `record ${id} is here already with judged_by ${known?.judged_by}`, {
      hint: "a judgement cannot be changed; write a new record",
    });
  }

  async flush(): Promise<void> {
    if (this.#pending.size === 0) return;
    await this.writer.insert([...this.#pending.values()]);
    this.#pending = new Map();
  }

  #seal(fields: Parameters<typeof sealEntry>[0], judgedBy: string | null): Entry {
    const sealed = sealEntry(fields);
    const { did, key } = this.signer;
    return { ...sealed, judged_by: judgedBy, signer: did, sig: signRecord(sealed.id, judgedBy, did, key) };
  }

  async #open(name: string): Promise<OpenThread> {
    const known = this.#threads.get(name);
    if (known) return known;
    const heads = await this.writer.heads(name, MAX_PARENTS + 1);
    const thread: OpenThread = {
      clock: (await this.writer.thread(name))?.clock ?? -1,
      heads: new Map(heads.map(({ id, clock }) => [id, clock])),
      crowded: heads.length > MAX_PARENTS,
    };
    this.#threads.set(name, thread);
    return thread;
  }

  async #checkParents(thread: string, parents: string[], clock: number): Promise<void> {
    for (const id of parents) {
      const parent = this.#pending.get(id) ?? (await this.writer.record(id));
      if (parent?.thread !== thread) {
        throw new SplError("invalid_record", `parents: ${thread} holds no record ${id}`, {
          hint: "leave out parents to append behind the thread's heads",
        });
      }
      if (parent.clock >= clock) {
        throw new SplError("invalid_record", `clock: ${clock} is not above that of parent ${id}`, {
          hint: "leave out clock to have it assigned",
        });
      }
    }
  }
}

/** At most 64 heads, those with the highest clocks, in the order that a record names them. */
function topHeads({ heads }: OpenThread): string[] {
  return [...heads]
    .sort(([a, clockA], [b, clockB]) => clockB - clockA || compareAscii(a, b))
    .slice(0, MAX_PARENTS)
    .map(([id]) => id)
    .sort(compareAscii);
}
