import { utf8 } from "../../lib/base/bytes.ts";
import { encodeStatement, STATEMENT } from "../../lib/federation/http_signature.ts";
import { type Statement, signStatement } from "../../lib/identity/statement.ts";
import { recordPair } from "../../lib/instance/federation.ts";
import { envelopeLine } from "../../lib/record/envelope.ts";
import type { Entry } from "../../lib/record/types.ts";
import type { TestApp } from "./app.ts";
import { type TestSigner, testSigner } from "./records.ts";

export type Answer = (request: Request, path: string) => Response | Promise<Response>;

/** A peer on a real socket that signs properly and may say anything else. */
export class Liar implements AsyncDisposable {
  readonly signer: TestSigner = testSigner(66, "liar");
  readonly #server: Bun.Server<undefined>;
  /** Paths that were asked for. */
  readonly asked: string[] = [];
  answer: Answer = () => this.page([]);

  constructor() {
    this.#server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: async (request) => {
        const path = request.url.slice(new URL(request.url).origin.length);
        this.asked.push(path);
        const response = await this.answer(request, path);
        response.headers.set(STATEMENT, encodeStatement(this.statement()));
        return response;
      },
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  statement(): Statement {
    const { key, did } = this.signer;
    return signStatement(
      {
        did,
        public_key: key.publicKey.toHex(),
        url: this.url,
        steward_id: "1".repeat(32),
        epoch: 1,
        issued_at: "2026-01-01T00:00:00.000Z",
        revoked: false,
      },
      key,
    );
  }

  /** A page as an honest peer would end it. */
  page(lines: (Entry | object | string)[], end: object = { cursor: "next", more: false }): Response {
    const texts = [...lines, end].map((line) =>
      typeof line === "string"
        ? line
        : "canonical" in line
          ? envelopeLine(line as Entry)
          : JSON.stringify(line),
    );
    return ndjson(texts.map((text) => `${text}\n`).join(""));
  }

  /** Makes the instance believe in this peer. */
  async pairWith({ ctx: { instance } }: TestApp, url = this.url): Promise<string> {
    const facts = { peer_did: this.signer.did, url, state: "active" };
    return instance.store.transact((writer) => recordPair(instance, writer, facts));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop(true);
  }
}

export function ndjson(
  body: string | ReadableStream<Uint8Array>,
  headers: Record<string, string> = {},
): Response {
  return new Response(body, { headers: { "content-type": "application/x-ndjson", ...headers } });
}

/** A body of these chunks, each `everyMs` after the one before. */
export function dripping(
  chunk: string,
  everyMs: number,
  chunks = Number.POSITIVE_INFINITY,
): ReadableStream<Uint8Array> {
  let sent = 0;
  return new ReadableStream({
    async pull(controller) {
      if (sent++ >= chunks) return controller.close();
      if (everyMs > 0) await Bun.sleep(everyMs);
      controller.enqueue(utf8(chunk));
    },
  });
}
