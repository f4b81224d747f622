import { z } from "zod";
import { SplError } from "../../lib/base/errors.ts";
import { parseWith } from "./body.ts";

/** Schemas that queries are made of. */
export const flag = z
  .enum(["true", "false"])
  .default("false")
  .transform((text) => text === "true");

export function limitOf(most: number) {
  return z.coerce.number().int().min(1).max(most).default(Math.min(100, most));
}

/** @throws SplError invalid_request for an unknown, repeated or malformed parameter */
export function parseQuery<T extends z.ZodObject>(schema: T, search: URLSearchParams): z.output<T> {
  const values = new Map<string, string>();
  for (const [name, value] of search) {
    if (values.has(name)) throw new SplError("invalid_request", `${name} is given twice`);
    values.set(name, value);
  }
  return parseWith(schema, Object.fromEntries(values));
}
