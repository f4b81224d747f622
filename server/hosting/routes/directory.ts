import { SplError } from "../../../lib/base/errors.ts";
import { listedStatement, publishStatement } from "../../../lib/hosting/directory.ts";
import { MAX_STATEMENT_BYTES } from "../../../lib/identity/statement.ts";
import { json } from "../../answer.ts";
import { readSmall } from "../body.ts";
import type { HostingCall, HostingRoute } from "../route.ts";

const MINUTE = 60_000;

export const directoryRoutes: HostingRoute[] = [
  {
    method: "GET",
    path: "/directory/:did",
    summary: "The highest endpoint statement that was published of a DID",
    pace: { most: 600, windowMs: MINUTE, apart: knownDid },
    async handle({ service, params }) {
      const statement = await listedStatement(service.hosting, params.did!);
      if (statement) return json(statement);
      throw new SplError("not_found", "nothing was published of this DID here");
    },
  },
  {
    method: "PUT",
    path: "/directory/:did",
    summary: "Publishes an endpoint statement: kept when it verifies and outranks what is known of its DID",
    pace: { most: 60, windowMs: MINUTE, apart: knownDid },
    async handle({ service, request, params }) {
      const body = await readSmall(request, MAX_STATEMENT_BYTES);
      return json(await publishStatement(service.hosting, params.did!, body));
    },
  },
];

/** The instances of a machine have one address. Of a DID that is not here yet there are as many as anyone likes. */
async function knownDid(
  { hosting }: HostingCall["service"],
  { did }: Record<string, string>,
): Promise<string | null> {
  return (await hosting.registry.statement(did!)) === null ? null : did!;
}
