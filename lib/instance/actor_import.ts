import { fromHex, toHex } from "../base/bytes.ts";
import { isoTime } from "../base/clock.ts";
import { SplError } from "../base/errors.ts";
import { MAX_CLOCK_JUMP } from "../base/limits.ts";
import { counted } from "../base/text.ts";
import { nextTurn } from "../base/turn.ts";
import {
  type ActorFileFacts,
  malformedActor,
  type NumberedLine,
  readActorFile,
} from "../bundle/actor_file.ts";
import type { SignerLine } from "../bundle/types.ts";
import { isReserved, RESERVED_THREADS } from "../folds/reserved.ts";
import { readOutcome } from "../folds/trust.ts";
import { certifies } from "../identity/did.ts";
import type { JsonObject } from "../record/types.ts";
import type { InsertResult, Reader, Writer } from "../store/types.ts";
import { actorRecords } from "./actors.ts";
import { emitWith } from "./emit.ts";
import type { Instance } from "./instance.ts";
import { foldReserved } from "./reserved.ts";
import { Spool } from "./spool.ts";
import { requireActive } from "./steward.ts";

export interface ActorImportOptions {
  dryRun: boolean;
  /** Unite the file's records with others that the actor has here. */
  merge: boolean;
  /**
   * What the outcomes of the file count here, 0 to 1, of what they count at its source; null leaves those as they are
   * that are weighed here already, and takes the others as the source's own are taken, at first whole.
   */
  trustDiscount: number | null;
  /** The actor that writes the registration. */
  by: string;
  /** Whose token it was, for the audit table. */
  account: string;
}

export interface ActorImportSummary {
  actor: string;
  name: string | null;
  source_did: string;
  /** inspected = inserted + deduplicated + refused */
  inspected: number;
  inserted: number;
  deduplicated: number;
  refused: number;
  threads: number;
  signers: number;
  memories: boolean;
  /** Records that this instance wrote, or would write, on `th_actor_registry`. */
  registrations: number;
  trust_discount: number;
  dry_run: boolean;
}

/**
 * Takes in an actor from another instance: all records of the file or none, ids, signatures and signers as they are. It is
 * registered here where it is not yet, and records say which instances' outcomes count for it from now on.
 * @throws SplError bundle_malformed; verification_failed for signers that nothing proves; store_not_empty when the actor
 *   has other records here and `merge` is not set; superseded; disk_full
 */
export async function importActor(
  instance: Instance,
  lines: AsyncIterable<NumberedLine[]>,
  options: ActorImportOptions,
): Promise<ActorImportSummary> {
  const spool = new Spool(instance.paths.run, instance.ports.random);
  try {
    const importing = await receive(instance, lines, spool, options);
    return options.dryRun
      ? await instance.store.read((reader) => importing.rehearse(reader))
      : await instance.store.transact((writer) => importing.commit(writer));
  } finally {
    spool.close();
  }
}

/** Checks the whole file and spools its records. */
async function receive(
  instance: Instance,
  lines: AsyncIterable<NumberedLine[]>,
  spool: Spool,
  options: ActorImportOptions,
): Promise<ActorImport> {
  let header: ActorFileFacts | null = null;
  let signers: SignerLine[] = [];
  let threads = 0;
  let thread = "";
  for await (const event of readActorFile(lines)) {
    if (event.kind === "header") header = event.header;
    else if (event.kind === "signers") {
      signers = event.signers;
      await instance.store.read((reader) => refuseUnproven(reader, signers));
    } else {
      const { actor } = header!;
      for (const entry of event.entries) {
        if (isReserved(entry.thread))
          throw malformedActor(`record ${entry.id} is on the reserved thread ${entry.thread}`);
        if (entry.actor !== actor && readOutcome(entry)?.subject !== actor)
          throw malformedActor(`record ${entry.id} is neither by ${actor} nor an outcome of its work`);
      }
      if (event.entries[0]!.thread !== thread) threads++;
      thread = event.entries[0]!.thread;
      spool.write(thread, event.entries);
      await nextTurn();
    }
  }
  return new ActorImport(instance, options, header!, signers, threads, spool);
}

interface Registration {
  /** Of the records that register the actor and say what its outcomes count. */
  bodies: JsonObject[];
  /** What the source's own outcomes count. */
  discount: number;
}

class ActorImport {
  constructor(
    readonly instance: Instance,
    readonly options: ActorImportOptions,
    readonly header: ActorFileFacts,
    readonly signers: SignerLine[],
    readonly threads: number,
    readonly spool: Spool,
  ) {}

  /** The same summary without a write. */
  async rehearse(reader: Reader): Promise<ActorImportSummary> {
    await requireActive(reader, await this.instance.signer(reader));
    const deduplicated = await this.#check(reader);
    const inserted = this.header.records - deduplicated;
    return this.#summary({ inserted, deduplicated, replaced: 0 }, await this.#registration(reader));
  }

  async commit(writer: Writer): Promise<ActorImportSummary> {
    const { instance, options, header } = this;
    const signer = await instance.signer(writer);
    await requireActive(writer, signer);
    await this.#check(writer);
    await refuseUnproven(writer, this.signers);
    const { digest, records } = await writer.totals();
    const at = instance.ports.clock();
    const { key: _, ...identityBefore } = signer;
    const n = await writer.beginImport({
      at,
      sourceDid: header.source_did,
      recordsRoot: header.records_root,
      digestBefore: digest,
      recordsBefore: records,
      didBefore: signer.did,
      didAfter: signer.did,
      seqBefore: await writer.lastSeq(),
      identityBefore,
    });
    const source = { did: header.source_did, public_key: header.public_key };
    for (const { did, public_key } of [source, ...this.signers])
      await writer.putSigner({ did, publicKey: fromHex(public_key, 32)! });
    const counts: InsertResult = { inserted: 0, deduplicated: 0, replaced: 0 };
    for (const entries of this.spool.groups()) {
      const result = await writer.insert(entries);
      for (const name of ["inserted", "deduplicated", "replaced"] as const) counts[name] += result[name];
      await nextTurn();
    }
    const registration = await this.#registration(writer);
    await emitWith(
      instance,
      writer,
      registration.bodies.map((body) => ({
        thread: RESERVED_THREADS.actors,
        act: "LEARN",
        body: { ...body, at: isoTime(at) },
        data_type: "SCALAR",
        judged_by: null,
      })),
      { actor: options.by },
    );
    const summary = this.#summary(counts, registration);
    // With what it says of itself, which goes with it when it is undone.
    await writer.endImport(n, (await writer.totals()).records - records);
    const { actor, source_did, inserted, deduplicated } = summary;
    await writer.addAudit(at, "actor-import", {
      actor,
      source_did,
      inserted,
      deduplicated,
      by: options.account,
    });
    return summary;
  }

  /** Refuses what must not come in beside what is here. Returns how many of the records are here already. */
  async #check(reader: Reader): Promise<number> {
    const { actor } = this.header;
    let known = 0;
    let own = 0;
    let clock = 0;
    let thread = "";
    for (const entries of this.spool.groups()) {
      const [first] = entries;
      if (first!.thread !== thread) clock = (await reader.thread(first!.thread))?.clock ?? 0;
      thread = first!.thread;
      for (const entry of entries) {
        if (entry.clock - clock > MAX_CLOCK_JUMP)
          throw malformedActor(`the clock of record ${entry.id} jumps more than 2^32 ahead`);
        clock = Math.max(clock, entry.clock);
      }
      known += await reader.known(entries.map(({ id }) => id));
      own += await reader.known(entries.filter((entry) => entry.actor === actor).map(({ id }) => id));
      await nextTurn();
    }
    const here = await actorRecords(reader, actor);
    if (here > own && !this.options.merge) {
      throw new SplError(
        "store_not_empty",
        `import refused: ${actor} has ${counted(here, "record")} here; pass --merge to unite them`,
        { detail: { records: here } },
      );
    }
    return known;
  }

  /** What has to be written so that the actor is registered and its outcomes weigh what was asked for. */
  async #registration(reader: Reader): Promise<Registration> {
    const { actor, name, origins, source_did } = this.header;
    const { trustDiscount } = this.options;
    const folds = await foldReserved(this.instance, reader);
    const weights = folds.origins.of(actor);
    const discount = trustDiscount ?? weights.get(source_did) ?? 1;
    const bodies: JsonObject[] = folds.actors.result().has(actor)
      ? []
      : [{ topic: "actor", actor, ...(name !== null && { name }) }];
    for (const { did: from, weight } of origins) {
      const known = weights.get(from);
      const here = trustDiscount === null && known !== undefined ? known : weight * discount;
      if (from !== folds.did && known !== here)
        bodies.push({ topic: "actor-origin", actor, from, weight: here });
    }
    return { bodies, discount };
  }

  #summary(
    { inserted, deduplicated, replaced }: InsertResult,
    { bodies, discount }: Registration,
  ): ActorImportSummary {
    const { actor, name, source_did, records, memories } = this.header;
    return {
      actor,
      name,
      source_did,
      inspected: records,
      inserted,
      deduplicated: deduplicated + replaced,
      refused: 0,
      threads: this.threads,
      signers: this.signers.length + 1,
      memories,
      registrations: bodies.length,
      trust_discount: discount,
      dry_run: this.options.dryRun,
    };
  }
}

/** A DID proves its key, or has the same one here; else anyone could have signed in that name. */
async function refuseUnproven(reader: Reader, signers: SignerLine[]): Promise<void> {
  for (const { did, public_key } of signers) {
    const known = await reader.signer(did);
    if (known ? toHex(known.publicKey) === public_key : certifies(did, fromHex(public_key, 32)!)) continue;
    const why = known ? `${did} has another key here` : `nothing proves the key of ${did}`;
    throw new SplError("verification_failed", `import refused: ${why}`, {
      hint: "nothing was changed; ask who wrote the file which key is right",
    });
  }
}
