import { compareAscii } from "../base/text.ts";
import type { OrderKey } from "./types.ts";

/** The canonical order of a thread: `(clock, actor, id)` (spec, section 2). */
export function compareOrder(a: OrderKey, b: OrderKey): number {
  return a.clock - b.clock || compareAscii(a.actor, b.actor) || compareAscii(a.id, b.id);
}
