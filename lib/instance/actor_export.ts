import { fromHex, toHex } from "../base/bytes.ts";
import { sha256 } from "../base/sha256.ts";
import { compareAscii } from "../base/text.ts";
import { nextTurn } from "../base/turn.ts";
import { type ActorFileFacts, actorHeader, MAX_ORIGINS } from "../bundle/actor_file.ts";
import type { SignerLine } from "../bundle/types.ts";
import { foldInput } from "../folds/input.ts";
import { isReserved } from "../folds/reserved.ts";
import { readOutcome, TrustFold } from "../folds/trust.ts";
import { canonicalText } from "../record/canonical.ts";
import { envelopeLine } from "../record/envelope.ts";
import type { Entry } from "../record/types.ts";
import type { Reader } from "../store/types.ts";
import { unknownActor } from "./actors.ts";
import type { Instance } from "./instance.ts";
import { foldReserved } from "./reserved.ts";
import { Spool } from "./spool.ts";

/**
 * An actor as one file (`lib/bundle/actor_file.ts`), in whole lines: its records, whoever signed them, and the outcomes
 * that count for it. What it wrote on reserved threads belongs to this instance and stays. The first part comes when
 * everything has been read and spooled, so that a slow client holds no snapshot.
 * @param memories whether its KNOW and LEARN records go along
 * @throws SplError not_found, disk_full
 */
export async function* exportActor(
  instance: Instance,
  { actor, memories }: { actor: string; memories: boolean },
): AsyncGenerator<string, void> {
  const spool = new Spool(instance.paths.run, instance.ports.random);
  try {
    yield await instance.store.read((reader) => gather(instance, reader, spool, actor, memories));
    for (const entries of spool.groups()) {
      yield entries.map((entry) => `${envelopeLine(entry)}\n`).join("");
      await nextTurn();
    }
  } finally {
    spool.close();
  }
}

/** Spools the records and returns the lines that go before them. */
async function gather(
  instance: Instance,
  reader: Reader,
  spool: Spool,
  actor: string,
  memories: boolean,
): Promise<string> {
  const signer = await instance.signer(reader);
  const { actors, origins } = await foldReserved(instance, reader);
  const names = actors.result();
  const trust = new TrustFold(signer.did, origins, instance.ports.clock());
  const wanted = (entry: Entry): boolean => {
    if (isReserved(entry.thread)) return false;
    if (entry.actor === actor) return memories || !isMemory(entry);
    return readOutcome(entry)?.subject === actor && trust.counts(actor, entry.signer);
  };
  const root = sha256.stream();
  const dids = new Set<string>();
  let records = 0;
  let known = names.has(actor);
  for await (const batch of reader.entries()) {
    known ||= batch.some((entry) => entry.actor === actor);
    const kept = batch.filter(wanted);
    for (const { id, signer } of kept) {
      root.update(fromHex(id, 32)!);
      dids.add(signer);
    }
    records += kept.length;
    for (const [thread, run] of Map.groupBy(kept, (entry) => entry.thread)) spool.write(thread, run);
    await nextTurn();
  }
  if (!known) throw unknownActor(actor);
  dids.delete(signer.did);
  const signers: SignerLine[] = [];
  for (const did of [...dids].sort(compareAscii)) {
    signers.push({ did, public_key: toHex((await reader.signer(did))!.publicKey) });
  }
  const facts: ActorFileFacts = {
    actor,
    name: names.get(actor) ?? null,
    source_did: signer.did,
    public_key: toHex(signer.publicKey),
    memories,
    origins: [...origins.of(actor), [signer.did, 1] as const]
      .map(([did, weight]) => ({ did, weight }))
      .slice(-MAX_ORIGINS)
      .sort((a, b) => compareAscii(a.did, b.did)),
    signers: signers.length,
    records,
    records_root: toHex(root.digest()),
  };
  const lines = signers.map((line) => `${canonicalText({ ...line })}\n`);
  return actorHeader(facts, signer.key) + lines.join("");
}

/** What the actor knows and has learned, in contrast to what it intended and did. */
function isMemory(entry: Entry): boolean {
  const { act } = foldInput(entry);
  return act === "KNOW" || act === "LEARN";
}
