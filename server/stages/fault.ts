import type { z } from "zod";
import { counted } from "../../lib/base/text.ts";

const KINDS: Record<string, string> = {
  string: "a text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  record: "an object",
};
const PARTS: Record<string, string> = { string: "character", array: "item" };

/**
 * What does not fit, in words for people.
 * @param value what was parsed
 * @param whole what it is called
 */
export function faultText(issue: z.core.$ZodIssue, value: unknown, whole: string): string {
  const { path } = issue;
  const where = path.join(".") || whole;
  switch (issue.code) {
    case "invalid_type":
      if (valueAt(value, path) === undefined) return `${where} is missing`;
      return `${where} must be ${KINDS[issue.expected] ?? issue.expected}`;
    case "invalid_value":
      return valueAt(value, path) === undefined
        ? `${where} is missing`
        : `${where} must be ${issue.values.length === 1 ? "" : "one of "}${issue.values.join(", ")}`;
    case "too_big":
      return `${where} must ${bound("at most", issue.maximum, issue.origin)}`;
    case "too_small":
      return `${where} must ${bound("at least", issue.minimum, issue.origin)}`;
    case "invalid_format":
      return issue.format === "datetime"
        ? `${where} must be a time like 2026-01-31T12:00:00Z`
        : `${where} ${issue.message}`;
    case "unrecognized_keys":
      return `${[...path, issue.keys[0]].join(".")} is not known here`;
    case "invalid_union":
      return valueAt(value, path) === undefined
        ? `${where} is missing`
        : `${where} is not of a form that fits`;
    default:
      return `${where} ${issue.message}`;
  }
}

function bound(word: string, limit: number | bigint, origin: string): string {
  const part = PARTS[origin];
  return part === undefined ? `be ${word} ${limit}` : `have ${word} ${counted(Number(limit), part)}`;
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce((inner: unknown, key) => (inner as Record<PropertyKey, unknown>)[key], value);
}
