import { entryToEnvelope } from "../record/envelope.ts";
import type { Act, Entry, JsonObject } from "../record/types.ts";

/** What every fold looks at: the entry, and the two fields of its record that carry meaning. */
export interface FoldInput {
  entry: Entry;
  act: Act;
  body: JsonObject;
}

export function foldInput(entry: Entry): FoldInput {
  const { act, body } = entryToEnvelope(entry).record;
  return { entry, act, body };
}
