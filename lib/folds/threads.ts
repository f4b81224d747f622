import type { JsonObject } from "../record/types.ts";
import type { FoldInput } from "./input.ts";

export type ThreadState = "open" | "done" | "canceled" | "none";

export interface ThreadFoldResult {
  /** The goal of the first `INTEND {goal}`. */
  goal: string | null;
  /** `open` while an intent is neither fulfilled nor canceled; `none` when no goal was stated. */
  state: ThreadState;
}

interface Intent {
  author: string;
  state: "open" | "done" | "canceled";
}

/**
 * What a thread is about and whether it is finished (spec, section 2): `INTEND {goal}` opens, `KNOW
 * {fulfills}` closes, `DO {cancels}` cancels. An actor's name alone is no proof, so only the same actor under
 * the same signer cancels what it intended. Feed records in canonical order.
 */
export class ThreadFold {
  readonly #intents = new Map<string, Intent>();
  #goal: string | null = null;

  add({ entry, act, body }: FoldInput): void {
    const author = `${entry.actor} ${entry.signer}`;
    if (act === "INTEND") {
      const goal = text(body, "goal");
      if (goal === null) return;
      this.#goal ??= goal;
      this.#intents.set(entry.id, { author, state: "open" });
    } else if (act === "KNOW") {
      const intent = this.#intents.get(text(body, "fulfills") ?? "");
      if (intent) intent.state = "done";
    } else if (act === "DO") {
      const intent = this.#intents.get(text(body, "cancels") ?? "");
      if (intent?.author === author && intent.state === "open") intent.state = "canceled";
    }
  }

  result(): ThreadFoldResult {
    const states = new Set([...this.#intents.values()].map((intent) => intent.state));
    const state = (["open", "done", "canceled"] as const).find((each) => states.has(each)) ?? "none";
    return { goal: this.#goal, state };
  }
}

/** A field of a body that is a text of at most `longest` UTF-16 code units, else null. */
export function text(body: JsonObject, field: string, longest = Number.POSITIVE_INFINITY): string | null {
  const value = Object.hasOwn(body, field) ? body[field] : null;
  return typeof value === "string" && value.length <= longest ? value : null;
}
