import { SplError } from "../../base/errors.ts";
import type { FlyPorts, FlySettings } from "./options.ts";

/**
 * Calls of the Fly Machines API. Three outcomes: an answer; a refusal, which repeating would not change (SplError
 * `hosting_unavailable` with Fly's words); or `Unsure`, after which nobody knows whether it happened, or that it may
 * happen later. What may be sent twice is repeated here; what makes something is only sent again after another look.
 */
export interface FlyRequest {
  method: "GET" | "POST" | "DELETE";
  /** Below the base, its parts encoded. */
  path: string;
  query?: Record<string, string>;
  body?: object;
  /** Of the lease that is held on the machine. */
  nonce?: string | undefined;
  /** Somebody else holds the lease (409): repeated until it is free. */
  queues?: boolean;
  /** Milliseconds that the answer may take beyond the usual. */
  patienceMs?: number;
  signal: AbortSignal;
}

const FIRST_MS = 250;
const LONGEST_MS = 8000;
const MAX_WORDS = 200;

/** No answer, or one that says nothing of what has been done. */
export class Unsure extends Error {
  constructor(
    /** What is told when there is no time left to try again. */
    readonly told: SplError,
    /** Milliseconds that Fly asks to wait. */
    readonly afterMs: number | null,
  ) {
    super(told.message);
  }
}

export class FlyApi {
  constructor(
    readonly settings: FlySettings,
    readonly ports: FlyPorts,
  ) {}

  /** Repeated until there is an answer: for what may be done twice. @throws SplError hosting_unavailable */
  call(request: FlyRequest): Promise<unknown> {
    return this.ensure(
      () => Promise.resolve(null),
      () => this.once(request),
      request.signal,
    );
  }

  /** As `call`, and null where there is no such thing. */
  async find(request: FlyRequest): Promise<unknown> {
    try {
      return await this.call(request);
    } catch (error) {
      if (statusOf(error) === 404) return null;
      throw error;
    }
  }

  /** What `look` finds, else what `make` makes; after each make that left it unsure it looks again. */
  async ensure<T>(look: () => Promise<T | null>, make: () => Promise<T>, signal: AbortSignal): Promise<T> {
    for (let round = 0; ; round++) {
      const found = await look();
      if (found !== null) return found;
      try {
        return await make();
      } catch (error) {
        await this.pause(error, round, signal);
      }
    }
  }

  /** Waits before the next try. @throws what is no `Unsure`; what that one tells when the signal aborts */
  async pause(error: unknown, round: number, signal: AbortSignal): Promise<void> {
    if (!(error instanceof Unsure)) throw error;
    const most = Math.min(FIRST_MS * 2 ** round, LONGEST_MS);
    const jittered = most * (0.5 + this.ports.random(1)[0]! / 512);
    await this.rest(error.afterMs ?? jittered, signal, error.told);
  }

  /** @throws SplError `told` when the signal aborts */
  async rest(ms: number, signal: AbortSignal, told: SplError): Promise<void> {
    if (!signal.aborted) {
      await this.ports.delay(ms, signal).catch((error) => {
        if (!signal.aborted) throw error;
      });
    }
    if (signal.aborted) throw told;
  }

  /** One request. @throws Unsure, SplError hosting_unavailable */
  async once(request: FlyRequest): Promise<unknown> {
    const { method, path, query, body, nonce, signal, patienceMs = 0 } = request;
    const { api, token, answerMs } = this.settings;
    const search = query ? `?${new URLSearchParams(query)}` : "";
    const ms = answerMs + patienceMs;
    let status: number;
    let text: string;
    let retryAfter: string | null;
    try {
      const response = await this.ports.fetch(api + path + search, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          accept: "application/json",
          ...(body && { "content-type": "application/json" }),
          ...(nonce !== undefined && { "fly-machine-lease-nonce": nonce }),
        },
        // The token goes to the API's address only.
        redirect: "manual",
        signal: AbortSignal.any([signal, AbortSignal.timeout(ms)]),
        ...(body && { body: JSON.stringify(body) }),
      });
      status = response.status;
      retryAfter = response.headers.get("retry-after");
      text = await response.text();
    } catch (error) {
      const late = (error as Error | null)?.name === "TimeoutError";
      throw this.#unsure(request, late ? `no answer within ${ms / 1000} s` : "no connection", null);
    }
    if (status >= 200 && status < 300) return this.#parse(request, text);
    const { words, reason } = this.#wordsOf(text);
    const said = `${status}${words && ` ${words}`}`;
    if (status >= 500 || status === 408 || status === 429 || (status === 409 && request.queues))
      throw this.#unsure(request, said, this.#afterMs(retryAfter));
    throw new SplError("hosting_unavailable", `Fly refused to ${method} ${path}: ${said}`, {
      hint:
        status === 401 || status === 403
          ? "the operator's token may have expired, or be of another organization"
          : "if it says so again, ask the operator",
      detail: { fly_status: status, fly_reason: reason },
    });
  }

  #parse(request: FlyRequest, text: string): unknown {
    if (text === "") return {};
    try {
      return JSON.parse(text);
    } catch {
      throw this.#unsure(request, "an answer that is no JSON", null);
    }
  }

  #unsure({ method, path }: FlyRequest, what: string, afterMs: number | null): Unsure {
    const told = new SplError("hosting_unavailable", `Fly did not ${method} ${path}: ${what}`, {
      hint: "try again later; status.fly.io tells of troubles",
    });
    return new Unsure(told, afterMs);
  }

  /** RFC 9110, section 10.2.3: seconds or a date. */
  #afterMs(header: string | null): number | null {
    if (header === null) return null;
    const ms = /^\d{1,6}$/.test(header) ? Number(header) * 1000 : Date.parse(header) - this.ports.clock();
    return Number.isNaN(ms) ? null : Math.max(0, ms);
  }

  /** What the error document says, in one line that is safe to show. */
  #wordsOf(text: string): { words: string; reason: string } {
    let value: { error?: unknown; status?: unknown } | null = null;
    try {
      value = JSON.parse(text);
    } catch {
      // Some answers come from a proxy in plain text.
    }
    const line = typeof value?.error === "string" ? value.error : value === null ? text : "";
    const shown = line.replaceAll(this.settings.token, "…").replace(/[\p{C}\p{Z}]+/gu, " ");
    const reason =
      typeof value?.status === "string" && /^[a-z_]{1,64}$/.test(value.status) ? value.status : "";
    return { words: shown.trim().slice(0, MAX_WORDS), reason };
  }
}

/** Fly's status of a refusal, else null. */
export function statusOf(error: unknown): number | null {
  const status = error instanceof SplError ? error.detail?.fly_status : undefined;
  return typeof status === "number" ? status : null;
}

/** Fly's reason of a refusal, empty where it gave none. */
export function reasonOf(error: unknown): string {
  return error instanceof SplError ? String(error.detail?.fly_reason ?? "") : "";
}

/**
 * Whether a region or a volume's host has no room: 412; 422 or 409 with the reason in a code; 409 of a host in words
 * (fly-go, `flaps_error.go`).
 */
export function isFull(error: unknown): boolean {
  const status = statusOf(error);
  if (/^(?:insufficient_capacity|volume_placement_capacity)$/.test(reasonOf(error))) return true;
  const words = status === null ? "" : (error as SplError).message;
  return status === 412 || (status === 409 && /insufficient .* available|no capacity/.test(words));
}
