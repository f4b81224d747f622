import { SplError } from "../base/errors.ts";
import { compareStatements, readStatement, type Statement } from "../identity/statement.ts";
import { parseJson } from "../record/json.ts";
import type { Hosting } from "./hosting.ts";

/** The service's directory (spec, section 3): the highest endpoint statement of each DID, and it is believed nothing else. */

/** DIDs that it has room for. */
const MAX_DIDS = 1_000_000;

export async function listedStatement({ registry }: Hosting, did: string): Promise<Statement | null> {
  const json = await registry.statement(did);
  return json === null ? null : (JSON.parse(json) as Statement);
}

/**
 * Keeps a statement when it verifies and outranks what is known of its DID.
 * @param body JSON as it came, at most 4 KiB
 * @throws SplError invalid_json, statement_refused, superseded for what is outranked, disk_full for a DID too many
 */
export async function publishStatement(
  { registry, ports }: Hosting,
  did: string,
  body: Uint8Array,
): Promise<Statement> {
  const statement = readStatement(parseJson(body), ports.clock());
  if (statement.did !== did) {
    throw new SplError(
      "statement_refused",
      "the endpoint statement is refused: it is of another DID than the path",
    );
  }
  for (;;) {
    const before = await registry.statement(did);
    const known = before === null ? null : (JSON.parse(before) as Statement);
    if (known && compareStatements(statement, known) < 0) {
      throw new SplError(
        "superseded",
        known.revoked
          ? `the identity was revoked (${known.issued_at})`
          : `a higher statement is known: the instance lives at ${known.url ?? "an address that it does not tell"}`,
        { hint: "spl serve --reclaim takes an identity back, on purpose" },
      );
    }
    if (known === null && (await registry.countStatements()) >= MAX_DIDS) {
      throw new SplError("disk_full", `the directory is full: it holds ${MAX_DIDS} DIDs`, {
        hint: "publish to another directory",
      });
    }
    if (await registry.putStatement(did, JSON.stringify(statement), before)) return statement;
  }
}
