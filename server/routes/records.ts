import { z } from "zod";
import { JSON_TYPE, NDJSON_TYPE } from "../../lib/api/media.ts";
import { toProblem, toSplError } from "../../lib/api/problem.ts";
import { Emission, Emitted, EmittedBatch, Problem } from "../../lib/api/schemas.ts";
import { SplError } from "../../lib/base/errors.ts";
import { MAX_LINE_BYTES } from "../../lib/base/limits.ts";
import { emit } from "../../lib/instance/emit.ts";
import type { Emitted as EmittedRecord } from "../../lib/instance/types.ts";
import { parseJson } from "../../lib/record/json.ts";
import { isDid, parseEmission, type Emission as RecordEmission } from "../../lib/record/shape.ts";
import { json, ndjson } from "../answer.ts";
import { type Call, type Route, route } from "../route.ts";
import { bodyChunks, bodyType, readBody } from "../stages/body.ts";
import { groupLines, type Line, splitLines } from "../stages/lines.ts";

/**
 * A batch commits in groups: up to 1,000 lines (4 MiB) sent at once are all stored or none; of a longer batch, or
 * one that pauses for a second, earlier groups stay when a later line is refused. The answer always says how many
 * lines are on disk (`committed`), so that the rest can be sent again from there.
 */
const GROUP = { lines: 1000, bytes: 4 * 1024 * 1024, quietMs: 1000 };

const emitQuery = z.strictObject({
  actor: z.string().optional().describe("who speaks where a record names no actor"),
});
type EmitCall = Call<z.output<typeof emitQuery>>;

export const recordRoutes: Route[] = [
  route({
    method: "POST",
    path: "/v1/records",
    summary: "Emits one record, or as NDJSON many: each line is answered once it is on disk, in order",
    scope: "records:write",
    grain: "write",
    patient: true,
    query: emitQuery,
    bodies: {
      [JSON_TYPE]: { limit: MAX_LINE_BYTES, shape: Emission },
      [NDJSON_TYPE]: { limit: null, shape: Emission },
    },
    answers: {
      200: {
        [JSON_TYPE]: z.union([EmittedBatch, Emitted]),
        [NDJSON_TYPE]: z.union([Emitted, z.strictObject({ problem: Problem })]),
      },
      201: { [JSON_TYPE]: Emitted },
    },
    handle: (call) => (bodyType(call.request) === NDJSON_TYPE ? emitBatch(call) : emitOne(call)),
  }),
];

async function emitOne(call: EmitCall): Promise<Response> {
  const emission = readEmission(call, await readBody(call));
  const [emitted] = await emit(call.ctx.instance, [emission], emission);
  call.ctx.changes.announce();
  const headers = { location: `/v1/records/${emitted!.id}` };
  return json(emitted, emitted!.deduplicated ? 200 : 201, headers);
}

/** As JSON the counts when all is done; as NDJSON line by line, where a failure in between is the last line. */
async function emitBatch(call: EmitCall): Promise<Response> {
  const groups = emitGroups(call);
  if (call.answerType !== NDJSON_TYPE) {
    const counts = { emitted: 0, deduplicated: 0 };
    for await (const group of groups) {
      counts.emitted += group.length;
      for (const emitted of group) if (emitted.deduplicated) counts.deduplicated++;
    }
    return json(counts);
  }
  // While nothing has been committed, a refusal still has its proper status.
  const first = await groups.next();
  return ndjson(
    call,
    (async function* () {
      try {
        if (first.done) return;
        yield toLines(first.value);
        for await (const group of groups) yield toLines(group);
      } catch (error) {
        if (toSplError(error).code === "internal") throw error;
        yield `${JSON.stringify({ problem: toProblem(error) })}\n`;
      }
    })(),
  );
}

async function* emitGroups(call: EmitCall): AsyncGenerator<EmittedRecord[]> {
  const { instance, changes } = call.ctx;
  let committed = 0;
  try {
    const lines = splitLines(bodyChunks(call), MAX_LINE_BYTES);
    for await (const group of groupLines(lines, GROUP)) {
      const emissions = group.map((line) => locating(line, () => readEmission(call, line.bytes)));
      const emitted = await emit(instance, emissions, emissions[0]!).catch((error) => {
        const index = error instanceof SplError ? error.detail?.index : undefined;
        throw typeof index === "number" ? located(error, group[index]!) : error;
      });
      committed = group.at(-1)!.number;
      changes.announce();
      yield emitted;
    }
  } catch (error) {
    throw error instanceof SplError ? withCommitted(error, committed) : error;
  }
}

/** A record with the actor that it will be written under, when the caller may write it. */
function readEmission(call: EmitCall, bytes: Uint8Array): RecordEmission & { actor: string } {
  const emission = parseEmission(parseJson(bytes));
  const actor = emission.actor ?? defaultActor(call);
  call.grant.requireWrite(emission.thread, actor);
  return { ...emission, actor };
}

function defaultActor({ query, grant, actor: claimed }: EmitCall): string {
  const actor = query.actor ?? claimed ?? (grant.actors.length === 1 ? grant.actors[0] : undefined);
  if (isDid(actor)) return actor;
  throw new SplError("invalid_record", actor === undefined ? "actor is missing" : "actor must be a DID", {
    hint: "name it in the record, or for all of them with ?actor=DID",
  });
}

function locating<T>(line: Line, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw located(error, line);
  }
}

function located(error: unknown, { number }: Line): unknown {
  if (!(error instanceof SplError)) return error;
  const { code, message, hint, detail, cause } = error;
  const { index: _, ...facts } = detail ?? {};
  return new SplError(code, `line ${number}: ${message}`, {
    ...(hint === undefined ? {} : { hint }),
    detail: { ...facts, line: number },
    cause,
  });
}

function withCommitted(error: SplError, committed: number): SplError {
  const where =
    committed === 0 ? "nothing was stored" : `lines 1 to ${committed} are stored; send the rest again`;
  const hint = error.hint === undefined ? where : `${error.hint}; ${where}`;
  return error.retold({ hint, detail: { committed } });
}

function toLines(emitted: EmittedRecord[]): string {
  return emitted.map((each) => `${JSON.stringify(each)}\n`).join("");
}
