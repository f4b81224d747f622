import { MAX_LABEL } from "../base/limits.ts";
import { isDid } from "../record/shape.ts";
import type { FoldInput } from "./input.ts";
import { text } from "./threads.ts";

/** Registered actors by DID: `LEARN {topic: "actor", actor, name?}` on `th_actor_registry`; the last one counts. */
export class ActorFold {
  readonly #names = new Map<string, string | null>();

  add({ act, body }: FoldInput): void {
    const actor = text(body, "actor");
    if (act === "LEARN" && text(body, "topic") === "actor" && isDid(actor))
      this.#names.set(actor, text(body, "name", MAX_LABEL));
  }

  /** Actor DID → display name, or null when it was registered without one. */
  result(): ReadonlyMap<string, string | null> {
    return this.#names;
  }
}
