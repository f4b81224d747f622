import { utf8 } from "../base/bytes.ts";
import { SplError } from "../base/errors.ts";
import {
  compareStatements,
  MAX_STATEMENT_BYTES,
  readStatement,
  type Statement,
} from "../identity/statement.ts";
import { policyFor } from "./addresses.ts";
import type { FederationContext } from "./context.ts";
import { exchangeJson } from "./exchange.ts";

/** A directory keeps the highest endpoint statement of any DID (spec, section 3), and is believed nothing else. */

const JSON_HEADERS = { "content-type": "application/json" };

/**
 * What the configured directory knows of a DID; null when that is nothing, and without a directory.
 * @throws SplError statement_refused, peer_unreachable, peer_misbehaves, address_refused
 */
export async function askDirectory(
  ctx: FederationContext,
  did: string,
  signal?: AbortSignal,
): Promise<Statement | null> {
  if (!asks(ctx)) return null;
  const request = { method: "GET" as const, ...(signal && { signal }) };
  const answer = await exchangeJson(
    asWritten(ctx),
    entryUrl(ctx.directory, did),
    request,
    MAX_STATEMENT_BYTES,
  );
  if (answer === null) return null;
  const statement = readStatement(answer, ctx.instance.ports.clock());
  if (statement.did === did) return statement;
  throw new SplError("peer_misbehaves", `${ctx.directory} answers with a statement of ${statement.did}`);
}

/** Publishes a statement unless the directory has it. Returns what was there before. @throws as `askDirectory` */
export async function publish(
  ctx: FederationContext,
  statement: Statement,
  signal?: AbortSignal,
): Promise<Statement | null> {
  const before = await askDirectory(ctx, statement.did, signal);
  if (!asks(ctx) || (before !== null && compareStatements(before, statement) >= 0)) return before;
  const body = utf8(JSON.stringify(statement));
  const request = {
    method: "PUT" as const,
    headers: new Headers(JSON_HEADERS),
    body,
    ...(signal && { signal }),
  };
  const kept = await exchangeJson(
    asWritten(ctx),
    entryUrl(ctx.directory, statement.did),
    request,
    MAX_STATEMENT_BYTES,
  );
  if (kept === null) {
    throw new SplError("not_found", `there is no directory at ${ctx.directory}`, {
      hint: "mend directory in the home's config.toml; the instance there needs spl serve --directory",
    });
  }
  return before;
}

/** Whether there is another instance to ask, and it may be: this one, if it is its own directory, knows what it knows. */
function asks(ctx: FederationContext): ctx is FederationContext & { directory: string } {
  return ctx.directory !== null && !ctx.isolated && ctx.directory !== ctx.url();
}

/** The directory's address is the operator's own word: where it names this machine or network, that is meant. */
function asWritten(ctx: FederationContext & { directory: string }): FederationContext {
  return { ...ctx, policy: policyFor(ctx.directory, ctx.policy) };
}

function entryUrl(directory: string, did: string): string {
  return `${directory}/directory/${encodeURIComponent(did)}`;
}
