import { SplError } from "../base/errors.ts";

const PATIENCE_MS = 10_000;

/** Tells a watcher in the manner of healthchecks.io how a job goes: `<URL>/start`, then `<URL>/<exit status>`. */
export class Ping {
  readonly #url: string;

  /** @param flag that the URL was given by. @throws SplError usage */
  constructor(text: string, flag = "--ping") {
    const url = URL.parse(text);
    if (url === null || !/^https?:$/.test(url.protocol) || url.search !== "" || url.hash !== "") {
      throw new SplError("usage", `${flag} is no http or https URL without query and fragment`, {
        hint: `write it like ${flag} https://hc-ping.com/<uuid>`,
      });
    }
    this.#url = url.href.replace(/\/+$/, "");
  }

  /** Null when it was heard, else why not; the path of the URL is a secret and not repeated. Never throws. */
  async send(what: "start" | number): Promise<string | null> {
    const host = new URL(this.#url).host;
    try {
      const response = await fetch(`${this.#url}/${what}`, { signal: AbortSignal.timeout(PATIENCE_MS) });
      await response.body?.cancel();
      return response.ok ? null : `the ping to ${host} was answered with ${response.status}`;
    } catch (error) {
      const timeout = error instanceof Error && error.name === "TimeoutError";
      return `the ping to ${host} failed: ${timeout ? "no answer" : "it cannot be reached"}`;
    }
  }
}
