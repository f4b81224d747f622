import { sentence } from "./sentence.ts";

/** Calls to the instance that the page comes from. Paths are relative, so that a path prefix before them stays. */

/** What went wrong, in the words of the problem document (RFC 9457). */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

export interface CallOptions {
  method?: "GET" | "POST" | "DELETE";
  token?: string;
  json?: unknown;
  /** Beside those that a call needs anyway. */
  headers?: Record<string, string>;
  /** With the cookies of where the page is from: a hosting service. An instance has none. */
  cookies?: boolean;
}

/** @throws Refusal; status 0 when the instance, or the service, could not be reached */
export async function call<T>(path: string, options: CallOptions = {}): Promise<T> {
  const { token, json, cookies = false } = options;
  const headers: Record<string, string> = { accept: "application/json", ...options.headers };
  if (token !== undefined) headers.authorization = `Bearer ${token}`;
  if (json !== undefined) headers["content-type"] = "application/json";
  let response: Response;
  try {
    response = await fetch(path, {
      method: options.method ?? (json === undefined ? "GET" : "POST"),
      headers,
      credentials: cookies ? "same-origin" : "omit",
      redirect: "error",
      ...(json !== undefined && { body: JSON.stringify(json) }),
    });
  } catch {
    const what = cookies ? "service" : "instance";
    throw new Refusal(0, `The ${what} cannot be reached. Check the connection and try again.`);
  }
  const body = await response.json().catch(() => null);
  if (response.ok && body !== null) return body as T;
  const { detail, hint } = (body ?? {}) as { detail?: unknown; hint?: unknown };
  if (typeof detail !== "string")
    throw new Refusal(response.status, `The answer has status ${response.status} and no explanation.`);
  throw new Refusal(
    response.status,
    `${sentence(detail)}${typeof hint === "string" ? ` ${sentence(hint)}` : ""}`,
  );
}

/** What a person is told of anything that was thrown. */
export function told(error: unknown): string {
  return error instanceof Refusal ? error.message : `Something went wrong here: ${error}.`;
}
