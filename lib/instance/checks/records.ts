import { toHex } from "../../base/bytes.ts";
import { sha256 } from "../../base/sha256.ts";
import { counted } from "../../base/text.ts";
import { verifyEntry } from "../../identity/record_signature.ts";
import { DigestSum } from "../../record/digest.ts";
import { SCHEMA_VERSION } from "../../store/schema.ts";
import type { Reader } from "../../store/types.ts";
import { fail, type InstanceCheck, pass, type Result, warn } from "./result.ts";

export const integrity: InstanceCheck = {
  name: "store",
  async run({ store }) {
    const problems = await store.integrityCheck();
    if (problems.length === 0) return pass("structure and indexes are sound");
    return fail(problems.join("; "), "move the home away, then spl restore a bundle");
  },
};

/** A diagnosis leaves a store of an earlier release as it is, so that this is all that can be said of its content. */
export const schema: InstanceCheck = {
  name: "schema",
  run: async ({ store }) =>
    warn(
      `the store is of an earlier release (schema ${store.schema}, this one has ${SCHEMA_VERSION}): the rest is examined when it is upgraded`,
      "spl serve --daemon copies it, then upgrades it",
    ),
};

/** Of a store of an earlier release. */
export const noRebuild: InstanceCheck = {
  name: "rebuild",
  run: async () => warn("nothing is rebuilt before the store is upgraded", "spl serve --daemon upgrades it"),
};

/** Mends as it checks. */
export const rebuild: InstanceCheck = {
  name: "rebuild",
  async run({ store }) {
    const { changed } = await store.transact((writer) => writer.rebuild());
    return changed
      ? warn("counts and digest were wrong and are rebuilt", "spl verify your newest bundle")
      : pass("rebuilt to the same values");
  },
};

/** @param deep hash every record and check every signature */
export const records = (deep: boolean): InstanceCheck => ({
  name: "records",
  run: ({ store }) => store.read((reader) => checkRecords(reader, deep)),
});

export const forks: InstanceCheck = {
  name: "forks",
  run: ({ store }) =>
    store.read(async (reader) => {
      const [fork] = await reader.forks({ limit: 1 });
      if (!fork) return pass("no two records claim one position");
      const { forks } = await reader.totals();
      return warn(
        `${counted(forks, "surplus record")}, first at clock ${fork.clock} of ${fork.thread} by ${fork.actor}`,
        `spl thread show ${fork.thread}`,
      );
    }),
};

async function checkRecords(reader: Reader, deep: boolean): Promise<Result> {
  const digest = new DigestSum();
  let records = 0;
  for await (const heads of reader.entryHeads()) {
    for (const head of heads) digest.add(head);
    records += heads.length;
  }
  const totals = await reader.totals();
  if (records !== totals.records || digest.hex() !== totals.digest) {
    return fail(`${counted(totals.records, "record")} counted, ${records} found`, "spl doctor --rebuild");
  }
  if (deep) {
    const keys = new Map<string, Uint8Array>();
    for await (const signers of reader.signers())
      for (const { did, publicKey } of signers) keys.set(did, publicKey);
    for await (const entries of reader.entries()) {
      for (const entry of entries) {
        const key = keys.get(entry.signer);
        const sound =
          key !== undefined && toHex(sha256.hash(entry.canonical)) === entry.id && verifyEntry(entry, key);
        if (!sound)
          return fail(`record ${entry.id} is damaged`, "move the home away, then spl restore a bundle");
      }
    }
  }
  return pass(
    `${counted(records, "record")}, digest ${totals.digest}${deep ? ", every signature checked" : ""}`,
  );
}
