import { userInfo } from "node:os";
import type { Emission } from "../lib/api/wire.ts";
import { utf8 } from "../lib/base/bytes.ts";
import { isoTime } from "../lib/base/clock.ts";
import { SplError } from "../lib/base/errors.ts";
import { systemRandom } from "../lib/base/random.ts";
import { mintThread } from "../lib/record/id.ts";
import { parseJson } from "../lib/record/json.ts";
import type { Act, Json, JsonObject } from "../lib/record/types.ts";
import { type ArgValues, type Context, defineSpl, printResult, type SplCommand, targetArgs } from "./_kit.ts";
import { connect } from "./_target.ts";

const NONCE_BYTES = 16;

/** Arguments that every command shares which writes one record. */
const recordArgs = {
  text: { type: "positional", required: false, description: "what to say; may be left out with --body" },
  thread: { type: "string", valueHint: "THREAD", description: "thread to write to (else a new one)" },
  actor: { type: "string", valueHint: "DID", description: "who speaks (else did:sync:user:<login name>)" },
  body: { type: "string", valueHint: "JSON", description: "a JSON object with more fields of the body" },
  ...targetArgs,
} as const;

/** `did:sync:user:<login name>`, with what a DID may not hold percent-encoded. */
export function defaultActor(ctx: Context): string {
  const name = ctx.env.USER || ctx.env.LOGNAME || userInfo().username;
  const encoded = Array.from(utf8(name), (byte) => {
    const char = String.fromCharCode(byte);
    return /[A-Za-z0-9._-]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  });
  return `did:sync:user:${encoded.join("")}`;
}

export interface VerbSpec {
  name: string;
  act: Act;
  summary: string;
  /** Field of the body that the text goes to. */
  field: "goal" | "text";
  examples: string[];
}

/** Declares a command that writes one record: `spl intend TEXT`, `spl do TEXT` and their like. */
export function defineVerb({ name, act, summary, field, examples }: VerbSpec): SplCommand {
  return defineSpl({
    name,
    summary,
    args: recordArgs,
    examples,
    run: (ctx, args) => emitOne(ctx, act, field, args, {}),
  });
}

export { recordArgs };

export async function emitOne(
  ctx: Context,
  act: Act,
  field: "goal" | "text",
  args: ArgValues<typeof recordArgs>,
  extra: JsonObject,
): Promise<void> {
  if (args.text === undefined && args.body === undefined && Object.keys(extra).length === 0) {
    throw new SplError("usage", "there is nothing to say", { hint: "give a text, or --body JSON" });
  }
  const actor = args.actor ?? defaultActor(ctx);
  const emission: Emission = {
    thread: args.thread ?? mintThread(actor, args.text ?? act, systemRandom(NONCE_BYTES)),
    act,
    actor,
    body: {
      at: isoTime(ctx.clock()),
      ...(args.body === undefined ? {} : parseBody(args.body)),
      ...(args.text === undefined ? {} : { [field]: args.text }),
      ...extra,
    },
  };
  const emitted = await connect(ctx, args).emit(emission);
  if (emitted.clock > 0 && Object.hasOwn(emission.body, "namespace")) {
    await ctx.err.line(
      `${emitted.thread} was open already: a namespace counts in the record only that opens a thread; spl thread show ${emitted.thread} tells its own`,
    );
  }
  await printResult(
    ctx,
    emitted,
    () => `✓ ${act} ${emitted.id}\n  thread: ${emitted.thread}\n  clock:  ${emitted.clock}\n`,
  );
}

function parseBody(text: string): JsonObject {
  const hint = `write it like --body '{"key":"value"}'`;
  let body: Json;
  try {
    body = parseJson(utf8(text));
  } catch (error) {
    throw error instanceof SplError ? new SplError("usage", `--body: ${error.message}`, { hint }) : error;
  }
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new SplError("usage", "--body is no JSON object", { hint });
  }
  return body;
}
