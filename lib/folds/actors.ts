import { isDid, isLabel } from "../record/shape.ts";
import type { FoldInput } from "./input.ts";
import { text } from "./threads.ts";

/** Registered actors by DID: `LEARN {topic: "actor", actor, name?}` on `th_actor_registry`; the last one counts, and a name only if it is one. */
export class ActorFold {
  readonly #names = new Map<string, string | null>();

  add({ act, body }: FoldInput): void {
    const actor = text(body, "actor");
    if (act !== "LEARN" || text(body, "topic") !== "actor" || !isDid(actor)) return;
    const name = text(body, "name");
    this.#names.set(actor, isLabel(name) ? name : null);
  }

  /** Actor DID → display name, or null when it was registered without one. */
  result(): ReadonlyMap<string, string | null> {
    return this.#names;
  }
}
