import { malformed } from "./malformed.ts";
import type { Member } from "./tar.ts";

/** Steps through batches of members one by one, without waiting for those that are already there. */
export class MemberCursor {
  readonly #batches: AsyncGenerator<Member[]>;
  #batch: Member[] = [];
  #at = 0;

  constructor(batches: AsyncGenerator<Member[]>) {
    this.#batches = batches;
  }

  /** The next member if it has arrived, else null: then ask `next`. */
  arrived(): Member | null {
    return this.#at < this.#batch.length ? this.#batch[this.#at++]! : null;
  }

  /** The next member, or null behind the last. */
  async next(): Promise<Member | null> {
    while (this.#at === this.#batch.length) {
      const { done, value } = await this.#batches.next();
      if (done) return null;
      this.#batch = value;
      this.#at = 0;
    }
    return this.#batch[this.#at++]!;
  }

  /** @throws SplError bundle_malformed when the next member is another one, or none */
  async expect(path: string): Promise<Uint8Array> {
    return isMember(path, await this.next()).data;
  }

  /** Lets go of the file. */
  async close(): Promise<void> {
    await this.#batches.return(undefined);
  }
}

/** @throws SplError bundle_malformed unless `member` is the one at `path` */
export function isMember(path: string, member: Member | null): Member {
  if (member?.path === path) return member;
  throw malformed(path, member === null ? "is missing" : `is missing (${member.path} is in its place)`);
}
