import { EVENTS_TYPE, JSON_TYPE, NDJSON_TYPE } from "../lib/api/media.ts";
import type { Page } from "../lib/api/wire.ts";
import { utf8 } from "../lib/base/bytes.ts";
import type { Call } from "./route.ts";

export function json(value: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(value), { status, headers: { "content-type": JSON_TYPE, ...headers } });
}

/**
 * A body that is made while it is sent, no faster than the client takes it.
 * A failure in between, or the end of the caller's right to it, ends the connection without the final chunk, so that
 * no client takes a part for the whole.
 */
export function streamed(
  { ctx, grant }: Pick<Call, "ctx" | "grant">,
  chunks: AsyncIterator<Uint8Array>,
  headers: Record<string, string>,
): Response {
  const session = ctx.sessions.open(grant);
  const end = () => session[Symbol.dispose]();
  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        session.signal.addEventListener("abort", () => {
          controller.error();
          chunks.return?.().catch(() => undefined);
        });
      },
      async pull(controller) {
        try {
          const { done, value } = await chunks.next();
          if (session.signal.aborted) return;
          if (!done) return controller.enqueue(value);
          end();
          controller.close();
        } catch (error) {
          end();
          if (session.signal.aborted) return;
          ctx.log("stream-failed", { error: String(error) });
          // Without a reason: Bun would print it, with source lines, to standard error.
          controller.error();
        }
      },
      async cancel() {
        end();
        await chunks.return?.();
      },
    },
    { highWaterMark: 0 },
  );
  return new Response(body, { headers });
}

/** @param parts one or more whole lines each, with their line feeds */
export function ndjson(call: Pick<Call, "ctx" | "grant">, parts: AsyncIterable<string>): Response {
  return streamed(call, encoded(parts), { "content-type": NDJSON_TYPE });
}

/** @param parts one or more whole events or comments each, with the empty line behind them */
export function eventStream(call: Pick<Call, "ctx" | "grant">, parts: AsyncIterable<string>): Response {
  return streamed(call, encoded(parts), { "content-type": EVENTS_TYPE });
}

/**
 * `ndjson` of a generator that holds something: its first part is made before the answer begins, so that a refusal has its
 * own status, and what it holds is let go even when nobody reads on.
 */
export async function ndjsonBegun(
  call: Pick<Call, "ctx" | "grant">,
  parts: AsyncGenerator<string, void>,
): Promise<Response> {
  let first: IteratorResult<string, void> | null = await parts.next();
  const chunks: AsyncIterator<Uint8Array> = {
    async next() {
      const { done, value } = first ?? (await parts.next());
      first = null;
      return done ? { done, value: undefined } : { value: utf8(value) };
    },
    async return() {
      await parts.return();
      return { done: true, value: undefined };
    },
  };
  return streamed(call, chunks, { "content-type": NDJSON_TYPE });
}

async function* encoded(parts: AsyncIterable<string>): AsyncGenerator<Uint8Array> {
  for await (const part of parts) if (part !== "") yield utf8(part);
}

export interface Paging {
  after?: string | undefined;
  limit: number;
}

/**
 * A listing: one page as JSON, or from `after` to the end as NDJSON, where each page is a read of its own.
 * @param line writes one item without its line feed
 */
export async function listing<T>(
  call: Call<Paging>,
  read: (page: { after?: string; limit: number }) => Promise<Page<T>>,
  line: (item: T) => string = JSON.stringify,
): Promise<Response> {
  const { answerType, query } = call;
  const first = await read(pageAt(query.after, query.limit));
  if (answerType !== NDJSON_TYPE) {
    const items = first.items.map(line).join(",");
    return new Response(`{"items":[${items}],"next":${JSON.stringify(first.next)}}`, {
      headers: { "content-type": JSON_TYPE },
    });
  }
  const parts = async function* () {
    for (let page = first; ; page = await read(pageAt(page.next, query.limit))) {
      yield page.items.map((item) => `${line(item)}\n`).join("");
      if (page.next === null) return;
    }
  };
  return ndjson(call, parts());
}

function pageAt(after: string | null | undefined, limit: number): { after?: string; limit: number } {
  return after === null || after === undefined ? { limit } : { after, limit };
}
