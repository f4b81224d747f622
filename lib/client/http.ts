import { JSON_TYPE, PROBLEM_TYPE, STATEMENT_HEADER, VERSION_HEADER } from "../api/media.ts";
import { fromProblem } from "../api/problem.ts";
import { fromBase64UrlText } from "../base/bytes.ts";
import { SplError, systemCode } from "../base/errors.ts";
import { isDid } from "../record/shape.ts";
import { tlsFault } from "./certificate.ts";
import type { Target } from "./target.ts";

export interface RequestOptions {
  method?: "GET" | "POST" | "DELETE";
  query?: Record<string, string | number | boolean | undefined>;
  accept?: string;
  /** A JSON value, or a stream with its media type. */
  json?: unknown;
  body?: { type: string; stream: AsyncIterable<Uint8Array> };
  signal?: AbortSignal;
}

/** A connection to one instance. Redirects are never followed: the token belongs to this address alone. */
export class HttpClient {
  /** Whether an instance without the header is there. */
  #instance: Promise<boolean> | undefined;

  constructor(readonly target: Target) {}

  async getJson<T>(path: string, query: RequestOptions["query"] = {}): Promise<T> {
    return this.requestJson(path, { query });
  }

  async postJson<T>(path: string, json: unknown, query: RequestOptions["query"] = {}): Promise<T> {
    return this.requestJson(path, { method: "POST", json, query });
  }

  /** @throws SplError as `request` */
  async requestJson<T>(path: string, options: RequestOptions): Promise<T> {
    const response = await this.request(path, options);
    try {
      return (await response.json()) as T;
    } catch (cause) {
      throw new SplError("unreachable", `the answer of ${this.target.url} is damaged or cut off`, {
        hint: "run the same command again",
        cause,
      });
    }
  }

  /**
   * Sends a request and returns an instance's answer of status 2xx and of the media type that was asked for.
   * @throws SplError unreachable, or what the instance's problem document says
   */
  async request(path: string, options: RequestOptions = {}): Promise<Response> {
    const { target } = this;
    const url = new URL(target.url + path);
    for (const [name, value] of Object.entries(options.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    const accept = options.accept ?? JSON_TYPE;
    const headers = new Headers({ accept });
    if (target.token !== null) headers.set("authorization", `Bearer ${target.token}`);
    const init: RequestInit & BunFetchRequestInit = {
      method: options.method ?? "GET",
      headers,
      redirect: "manual",
      ...(options.signal && { signal: options.signal }),
      ...(target.socket !== null && { unix: target.socket }),
    };
    // Whatever breaks on our side of an upload is the cause, not the connection that broke with it.
    const upload = options.body && new Upload(options.body.stream);
    if (upload) {
      headers.set("content-type", options.body!.type);
      init.body = upload.body();
    } else if (options.json !== undefined) {
      headers.set("content-type", JSON_TYPE);
      init.body = JSON.stringify(options.json);
    }
    let response: Response;
    try {
      response = await fetch(url, { ...init, timeout: false } as BunFetchRequestInit);
    } catch (error) {
      if (upload?.failure !== undefined) throw upload.failure;
      throw options.signal?.aborted ? error : unreachable(target, error);
    }
    if (upload?.failure !== undefined) throw upload.failure;
    if (response.ok && mediaType(response) === accept && (await this.#isFromInstance(response)))
      return response;
    throw await refusal(response, target);
  }

  /** What a login, a proxy or another program says must not pass for data. Our own socket is nobody else's. */
  async #isFromInstance({ headers }: Response): Promise<boolean> {
    if (this.target.socket !== null || headers.has(VERSION_HEADER)) return true;
    this.#instance ??= isInstance(this.target.url);
    return this.#instance;
  }
}

const HEALTH_MS = 10_000;

/** By its health: an earlier release has no header, and a proxy may drop what it does not know. */
async function isInstance(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/health`, {
      headers: { accept: JSON_TYPE },
      redirect: "manual",
      signal: AbortSignal.timeout(HEALTH_MS),
    });
    const { instance_did, version } = (await response.json()) as Record<string, unknown>;
    return isDid(instance_did) && typeof version === "string";
  } catch {
    return false;
  }
}

class Upload {
  failure: unknown;
  constructor(readonly stream: AsyncIterable<Uint8Array>) {}

  async *#chunks(): AsyncGenerator<Uint8Array> {
    try {
      yield* this.stream;
    } catch (error) {
      this.failure = error;
      throw error;
    }
  }

  body(): ReadableStream<Uint8Array> {
    const chunks = this.#chunks();
    return new ReadableStream({
      async pull(controller) {
        try {
          const next = await chunks.next();
          if (next.done) controller.close();
          else controller.enqueue(next.value);
        } catch (error) {
          controller.error(error);
        }
      },
      async cancel() {
        await chunks.return(undefined);
      },
    });
  }
}

function mediaType(response: Response): string {
  return (response.headers.get("content-type") ?? "").split(";")[0]!.trim().toLowerCase();
}

function unreachable({ url, socket, from }: Target, cause: unknown): SplError {
  const code = systemCode(cause);
  if (socket !== null && code === "EACCES") {
    return new SplError("unreachable", `cannot reach ${socket}: permission denied`, {
      hint: "the instance belongs to another user; reach it by its URL with a token",
      cause,
    });
  }
  if (from === "hosting service") {
    return new SplError("unreachable", `no hosting service is running here (${socket})`, {
      hint: "start it with spl host serve --domain DOMAIN, or set SPL_HOST_HOME to where it is",
      cause,
    });
  }
  if (socket !== null) {
    return new SplError("unreachable", `no instance is running here (${socket})`, {
      hint: "start it with spl serve --daemon",
      cause,
    });
  }
  const fault = tlsFault(code ?? "");
  if (fault) {
    return new SplError("unreachable", `cannot reach ${url}: ${fault.reason}`, { hint: fault.hint, cause });
  }
  if (code === "ECONNRESET" && url.startsWith("http:")) {
    return new SplError("unreachable", `cannot reach ${url}: it closed the connection without an answer`, {
      hint: "if it speaks TLS, name it with https://",
      cause,
    });
  }
  const reason =
    code === "ConnectionRefused" || code === "ECONNREFUSED" ? "connection refused" : (code ?? String(cause));
  return new SplError("unreachable", `cannot reach ${url}: ${reason}`, {
    hint: `check that it runs and that ${from} names the right address`,
    cause,
  });
}

async function refusal(response: Response, { url }: Target): Promise<SplError> {
  if (response.status >= 300 && response.status < 400) {
    return new SplError("unreachable", `${url} answers with a redirect, which is not followed`, {
      hint: "name the address it redirects to",
    });
  }
  if (mediaType(response) === PROBLEM_TYPE) {
    const error = fromProblem(await response.json().catch(() => null));
    if (error?.code === "moved") return moved(error, response.headers.get(STATEMENT_HEADER), url);
    if (error) return error;
  } else {
    await response.body?.cancel();
  }
  return new SplError(
    "unreachable",
    `${url} answers with status ${response.status} and ${mediaType(response) || "no media type"}, not as an instance of spl would`,
    {
      hint: "check the address",
    },
  );
}

/**
 * Where the identity lives now is believed only to itself: its signed statement comes with the answer (spec, section 10).
 * The token stays where it was saved for, so the user is told and nothing is followed.
 */
async function moved(told: SplError, header: string | null, url: string): Promise<SplError> {
  if (header === null) return told;
  // Loaded here: hardly any command ever needs it.
  const { readStatement } = await import("../identity/statement.ts");
  const { parseJson } = await import("../record/json.ts");
  try {
    const bytes = fromBase64UrlText(header);
    const statement = readStatement(parseJson(bytes ?? new Uint8Array()), Date.now());
    const place = statement.url ?? "an address that it does not tell";
    const ended = statement.revoked ? "was revoked" : `lives at ${place}`;
    return new SplError(
      "moved",
      `the instance at ${url} has left: ${statement.did} ${ended}, as it says itself`,
      {
        ...(statement.url !== null && {
          hint: `export SPL_SERVE_URL=${statement.url}, then spl token save`,
          detail: { did: statement.did, url: statement.url },
        }),
      },
    );
  } catch (cause) {
    return new SplError(
      "moved",
      `${url} says that its instance has left, and where to, but cannot prove it`,
      {
        hint: "ask its owner for the new address",
        cause,
      },
    );
  }
}
