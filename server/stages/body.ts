import type { z } from "zod";
import { concatBytes } from "../../lib/base/bytes.ts";
import { SplError } from "../../lib/base/errors.ts";
import { parseJson } from "../../lib/record/json.ts";
import type { Call, Route } from "../route.ts";
import { faultText } from "./fault.ts";

/** The media type of the request's body, without parameters, lowercase; empty without a body. */
export function bodyType(request: Request): string {
  return (request.headers.get("content-type") ?? "").split(";")[0]!.trim().toLowerCase();
}

/**
 * Refuses by the headers alone what would be too large or is of no use here.
 * @throws SplError unsupported_media_type, body_too_large
 */
export function checkBody(request: Request, { bodies }: Route): void {
  if (!bodies) return;
  const type = bodyType(request);
  const body = bodies[type];
  if (!body) {
    throw wrongType(Object.keys(bodies), type);
  }
  const length = Number(request.headers.get("content-length") ?? 0);
  if (body.limit !== null && length > body.limit) throw tooLarge(body.limit);
}

/** @param given empty where none was stated */
export function wrongType(wanted: string[], given: string): SplError {
  const types = wanted.join(" or ");
  const message =
    given === "" ? "the request does not state the type of its body" : `the body must not be ${given}`;
  return new SplError("unsupported_media_type", message, { hint: `send it with Content-Type: ${types}` });
}

/**
 * The chunks of the request's body.
 * @throws SplError invalid_request when the client goes away in between; unauthorized when it loses the right to call
 */
export async function* bodyChunks({ ctx, request, grant }: Call): AsyncGenerator<Uint8Array> {
  if (!request.body) return;
  const reader = request.body.getReader();
  using session = ctx.sessions.open(grant);
  session.signal.addEventListener("abort", () => void reader.cancel().catch(() => undefined));
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error) => {
        throw new SplError("invalid_request", "the connection ended before the body did", { cause: error });
      });
      session.signal.throwIfAborted();
      if (done) return;
      yield value;
    }
  } finally {
    // What was not read is discarded while it comes in, so that even a client that sends all first gets its answer.
    await reader.cancel().catch(() => undefined);
  }
}

/** The whole body, counted while it comes in: the length that a client states is no promise. */
export async function readBody(call: Call): Promise<Uint8Array> {
  const { request, route } = call;
  const limit = route.bodies?.[bodyType(request)]?.limit ?? 0;
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of bodyChunks(call)) {
    size += chunk.length;
    if (size > limit) throw tooLarge(limit);
    chunks.push(chunk);
  }
  return concatBytes(...chunks);
}

/** @throws SplError invalid_json, invalid_request, body_too_large */
export async function readJson<T extends z.ZodType>(call: Call, schema: T): Promise<z.output<T>> {
  return parseWith(schema, parseJson(await readBody(call)));
}

/**
 * @param hint where to see what fits
 * @throws SplError invalid_request naming the first member that is wrong
 */
export function parseWith<T extends z.ZodType>(
  schema: T,
  value: unknown,
  hint = "GET /openapi.json describes what fits",
): z.output<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new SplError("invalid_request", faultText(result.error.issues[0]!, value, "the body"), { hint });
}

function tooLarge(limit: number): SplError {
  return new SplError("body_too_large", `the body is larger than ${limit} bytes`, { detail: { limit } });
}
