import { MAX_CLOCK_JUMP } from "../base/limits.ts";
import { compareAscii } from "../base/text.ts";
import { verifyEntry } from "../identity/record_signature.ts";
import { recordId } from "../record/id.ts";
import { compareOrder } from "../record/order.ts";
import { parseCanonicalRecord } from "../record/shape.ts";
import type { Entry } from "../record/types.ts";
import { type Group, GroupRule, parseSignatures, type Signature } from "./groups.ts";
import { blaming, malformed } from "./malformed.ts";
import { isMember, type MemberCursor } from "./member_cursor.ts";
import { parseSignaturesPath, recordPath } from "./members.ts";
import type { Member } from "./tar.ts";

/** Public keys by DID of those whose signatures are checked one by one; null for whom the manifest vouches. */
export type Keyring = ReadonlyMap<string, Uint8Array | null>;

/** Reads and verifies the groups of records, each against those before it. */
export class GroupReader {
  readonly #members: MemberCursor;
  readonly #keyring: Keyring;
  readonly #rule = new GroupRule();
  #thread = "";
  #k = 0;
  /** The record before, within the thread. */
  #previous: Entry | null = null;

  constructor(members: MemberCursor, keyring: Keyring) {
    this.#members = members;
    this.#keyring = keyring;
  }

  /**
   * The group that opens with the signatures member `first`.
   * @throws SplError bundle_malformed
   */
  async read(first: Member): Promise<Group<Entry>> {
    this.#open(first.path);
    const items: Entry[] = [];
    for (const signature of parseSignatures(first.path, first.data)) {
      const path = recordPath(this.#thread, signature.id);
      const member = isMember(path, this.#members.arrived() ?? (await this.#members.next()));
      if (this.#rule.opens(this.#thread, member.data.length) !== (items.length === 0)) {
        throw malformed(first.path, "its group does not end where it has to");
      }
      const entry = this.#check(member, signature);
      items.push(entry);
      this.#previous = entry;
    }
    return { thread: this.#thread, k: this.#k, items };
  }

  #open(path: string): void {
    const place = parseSignaturesPath(path);
    if (place === null) throw malformed(path, "is not where it belongs");
    const { thread, k } = place;
    const order = compareAscii(thread, this.#thread);
    if (order < 0 || k !== (order === 0 ? this.#k + 1 : 0)) throw malformed(path, "is out of order");
    if (order > 0) this.#previous = null;
    this.#thread = thread;
    this.#k = k;
  }

  #check({ path, data }: Member, { id, judged_by, sig, signer }: Signature): Entry {
    if (recordId(data) !== id) throw malformed(path, "its content does not hash to its name");
    const { thread, clock, actor } = blaming(path, () => parseCanonicalRecord(data));
    if (thread !== this.#thread) throw malformed(path, `its record belongs to ${thread}`);
    const entry = { id, thread, clock, actor, canonical: data, judged_by, signer, sig };
    if (this.#previous !== null && compareOrder(this.#previous, entry) >= 0) {
      throw malformed(path, "is not in canonical order");
    }
    if (clock - (this.#previous?.clock ?? 0) > MAX_CLOCK_JUMP) {
      throw malformed(path, `its clock ${clock} jumps more than 2^32 ahead`);
    }
    const publicKey = this.#keyring.get(signer);
    if (publicKey === undefined) throw malformed(path, `its signer ${signer} is not among the signers`);
    if (publicKey !== null && !verifyEntry(entry, publicKey)) {
      throw malformed(path, `its signature by ${signer} is not valid`);
    }
    return entry;
  }
}
