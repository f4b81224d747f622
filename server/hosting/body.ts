import type { z } from "zod";
import { concatBytes } from "../../lib/base/bytes.ts";
import { SplError } from "../../lib/base/errors.ts";
import { parseJson } from "../../lib/record/json.ts";
import { bodyType, parseWith, wrongType } from "../stages/body.ts";

/** Nothing that is sent to the service itself is longer. */
const MAX_BODY = 16 * 1024;

/** @throws SplError body_too_large, invalid_request */
export async function readSmall(request: Request, most = MAX_BODY): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body ?? []) {
    size += chunk.length;
    if (size > most)
      throw new SplError("body_too_large", `the body is larger than ${most} bytes`, {
        detail: { limit: most },
      });
    chunks.push(chunk);
  }
  return concatBytes(...chunks);
}

/**
 * @throws SplError unsupported_media_type: a form of another site can send JSON only under a type that needs no leave;
 *   invalid_json, invalid_request, body_too_large
 */
export async function readSmallJson<T extends z.ZodType>(request: Request, schema: T): Promise<z.output<T>> {
  const type = bodyType(request);
  if (type !== "application/json") throw wrongType(["application/json"], type);
  return parseWith(schema, parseJson(await readSmall(request)), "the page at / sends what fits");
}
