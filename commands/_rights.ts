import type { Token } from "../lib/api/wire.ts";
import { isoTime } from "../lib/base/clock.ts";
import { readTime } from "../lib/base/duration.ts";
import { SplError } from "../lib/base/errors.ts";
import type { Fact } from "../lib/ui/facts.ts";
import type { Context } from "./_kit.ts";

/** Spread into the arguments of every command that hands out rights. */
export const rightsArgs = {
  scopes: {
    type: "string",
    valueHint: "A,B",
    description: "what it may do, separated by commas, such as records:read,records:write",
  },
  actors: {
    type: "string",
    valueHint: "DID,DID",
    description: "actors it may speak for (else any that you may)",
  },
  description: { type: "string", valueHint: "TEXT", description: "what it is for" },
} as const;

/** Spread into the arguments of every command that mints a token. */
export const expiresArgs = {
  expires: {
    type: "string",
    valueHint: "WHEN",
    description: "end of the token: 90d, 24h, an ISO time, or never (else never)",
  },
} as const;

/** The parts of a list with commas. @throws SplError usage when one is empty */
export function listOf(name: string, text: string | undefined): string[] | undefined {
  const parts = text?.split(",").map((part) => part.trim());
  if (!parts?.includes("")) return parts;
  throw new SplError("usage", `${name} ${JSON.stringify(text)} has an empty part`, {
    hint: "separate them by single commas",
  });
}

/** ISO 8601, null for never, undefined where nothing is said. @throws SplError usage */
export function expiryOf(ctx: Context, text: string | undefined): string | null | undefined {
  if (text === undefined) return undefined;
  return text === "never" ? null : isoTime(readTime(text, "--expires", ctx.clock(), "ahead"));
}

/** `given` without what is undefined, as JSON has it. */
export function present<T extends object>(given: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(given).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

/** What a token or account may do. */
export function rightsFacts({ scopes, actors }: Pick<Token, "scopes" | "actors">): Fact[] {
  return [
    ["scopes", scopes.join(" ")],
    ["actors", actors.length === 0 ? "any" : actors.join(" ")],
  ];
}

export function tokenFacts(token: Token): Fact[] {
  return [
    ["account", token.account],
    ...rightsFacts(token),
    ...(token.description === "" ? [] : [["description", token.description] as const]),
    ["expires", token.expires_at ?? "never"],
  ];
}

/** Tells on standard error that what standard output shows is not kept anywhere. */
export async function tellShownOnce(ctx: Context, then: string): Promise<void> {
  if (ctx.output === "text") await ctx.err.line(`the token is shown this once; ${then}`);
}
