import { fromUtf8 } from "../base/bytes.ts";
import { MAX_LABEL } from "../base/limits.ts";
import type { Entry, Json } from "../record/types.ts";

/**
 * The namespaces of a thread (spec, section 2): what its opening records name, those without parents. Anyone can add an
 * opening record to a thread, so all of them count: another one never makes a thread less private.
 */

/** A thread that opening records give more of them is kept at home. */
export const MOST_NAMESPACES = 64;

/** The column of a thread that is shared with nobody. */
export const KEPT = '\n[""]';

const CONTROL = /[\x00-\x1f]/;

/**
 * What an opening record names: `default` where it names nothing, empty where that cannot be granted, as it is no text of
 * 1 to 256 characters without control characters.
 */
export function namespaceOf({ canonical }: Pick<Entry, "canonical">): string {
  const { body } = JSON.parse(fromUtf8(canonical)!) as { body: { [field: string]: Json } };
  if (!Object.hasOwn(body, "namespace")) return "default";
  const { namespace } = body;
  const fits =
    typeof namespace === "string" && [...namespace].length <= MAX_LABEL && !CONTROL.test(namespace);
  return fits ? namespace : "";
}

/** As a column: one name, or a line feed and a JSON array; empty as long as there is no opening record. */
export function writeNamespaces(names: ReadonlySet<string>): string {
  if (names.has("") || names.size > MOST_NAMESPACES) return KEPT;
  const [first = "", ...more] = [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return more.length === 0 ? first : `\n${JSON.stringify([first, ...more])}`;
}

/** What `writeNamespaces` has written. */
export function readNamespaces(column: string): Set<string> {
  if (column === "") return new Set();
  return new Set(column.startsWith("\n") ? (JSON.parse(column) as string[]) : [column]);
}
