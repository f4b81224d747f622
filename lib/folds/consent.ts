import { MAX_LABEL } from "../base/limits.ts";
import type { FoldInput } from "./input.ts";
import { text } from "./threads.ts";

/** What the approval of a pair shares; every other namespace takes a grant. */
export const APPROVED_NAMESPACE = "default";

export interface ConsentGrant {
  /** Id of the record that granted it. */
  id: string;
  /** The namespace whose threads may cross. */
  from: string;
  /** The DID of the pair that they may cross to, or `*` for every pair. */
  to: string;
}

/**
 * Which namespaces are shared with which pairs, from `th_consent`: `LEARN {topic: "grant", from, to}` grants, `LEARN
 * {topic: "revoke", grant: id}` takes it back.
 */
export class ConsentFold {
  readonly #grants = new Map<string, ConsentGrant>();

  add({ entry, act, body }: FoldInput): void {
    if (act !== "LEARN") return;
    const topic = text(body, "topic");
    const from = text(body, "from", MAX_LABEL);
    const to = text(body, "to", MAX_LABEL);
    // The empty name stands for threads of which nothing tells yet how private they are.
    if (topic === "grant" && from !== null && from !== "" && to !== null)
      this.#grants.set(entry.id, { id: entry.id, from, to });
    else if (topic === "revoke") this.#grants.delete(text(body, "grant") ?? "");
  }

  /** Grants in force, in the order in which they were given. */
  all(): ConsentGrant[] {
    return [...this.#grants.values()];
  }
}
