import { join } from "node:path";
import { ScratchHome, splBinary } from "./spl.ts";

/** `spl host serve` as a process in the hands of a test. It and its instances are stopped at the end of its scope. */
export class HostingProcess implements AsyncDisposable {
  #child: Bun.Subprocess<"ignore", "pipe", "pipe"> | null = null;
  url = "";
  pid = 0;

  private constructor(
    readonly home: ScratchHome,
    readonly flags: readonly string[],
  ) {}

  /** Resolves once it answers. */
  static async start(...flags: string[]): Promise<HostingProcess> {
    const hosting = new HostingProcess(new ScratchHome(), flags);
    hosting.home.env.SPL_HOST_HOME = join(hosting.home.path, "host");
    await hosting.begin();
    return hosting;
  }

  /** Starts it, after it was stopped or killed on the same port as before. */
  async begin(): Promise<void> {
    const port = this.url === "" ? "0" : new URL(this.url).port;
    const flags = ["--domain", "localhost", "--port", port, "--output", "json", ...this.flags];
    const child = Bun.spawn([splBinary(), "host", "serve", ...flags], {
      cwd: this.home.path,
      env: this.home.env,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    this.#child = child;
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    reader.releaseLock();
    if (value === undefined) throw new Error(await child.stderr.text());
    ({ url: this.url, pid: this.pid } = JSON.parse(new TextDecoder().decode(value)) as {
      url: string;
      pid: number;
    });
  }

  /** Ends it and returns its exit status or signal. */
  async end(signal: "SIGTERM" | "SIGKILL"): Promise<number | string> {
    const child = this.#child!;
    child.kill(signal);
    await child.exited;
    return child.signalCode ?? child.exitCode ?? 0;
  }

  get folder(): string {
    return this.home.env.SPL_HOST_HOME!;
  }

  /** Where who runs it is served. */
  get socket(): string {
    return join(this.folder, "run", "spl.sock");
  }

  /** The processes that it has started and that run now. */
  processes(): number[] {
    const { stdout } = Bun.spawnSync(["pgrep", "-P", `${this.pid}`], { stdout: "pipe" });
    return stdout.toString().split("\n").filter(Boolean).map(Number);
  }

  /** A visitor without a browser, who keeps cookies. @param headers sent with each request */
  visitor(headers: Record<string, string> = {}): Visitor {
    return new Visitor(this.url, headers);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child?.exitCode === null && this.#child.signalCode === null) await this.end("SIGTERM");
    // What a killed service left running goes with the next one.
    if (this.#child?.signalCode === "SIGKILL") {
      await this.begin();
      await this.end("SIGTERM");
    }
    this.home[Symbol.dispose]();
  }
}

export interface Provision {
  id: string;
  label: string;
  url: string;
  state: string;
  first_run_url: string;
  phases: { phase: string; state: string; took_ms: number | null }[];
  failure: { code: string; phase: string; message: string; hint: string | null } | null;
}

/** Someone who calls the service's API and keeps its cookie. */
export class Visitor {
  cookie = "";

  constructor(
    readonly base: string,
    readonly headers: Record<string, string> = {},
  ) {}

  async call(
    path: string,
    init: { method?: string; json?: unknown; headers?: Record<string, string>; signal?: AbortSignal } = {},
  ): Promise<Response> {
    const { method = init.json === undefined ? "GET" : "POST", json, signal } = init;
    const headers: Record<string, string> = { origin: this.base, ...this.headers, ...init.headers };
    if (this.cookie !== "") headers.cookie = this.cookie;
    if (json !== undefined) headers["content-type"] = "application/json";
    const response = await fetch(this.base + path, {
      method,
      headers,
      redirect: "manual",
      // A service may end a connection whose body it did not read.
      keepalive: false,
      ...(signal && { signal }),
      ...(json !== undefined && { body: JSON.stringify(json) }),
    });
    const set = response.headers.get("set-cookie");
    if (set !== null) this.cookie = set.split(";")[0]!;
    return response;
  }

  async json<T = Record<string, unknown>>(
    path: string,
    init: Parameters<Visitor["call"]>[1] = {},
  ): Promise<T> {
    return (await (await this.call(path, init)).json()) as T;
  }

  /** Asks for an instance. */
  begin(label: string): Promise<Provision> {
    return this.json("/v1/provision", { json: { label } });
  }

  /** How an instance stands once nothing more is to come, and all that was told on the way. */
  async settled(id: string): Promise<Provision[]> {
    const response = await this.call(`/v1/provision/${id}`, { headers: { accept: "text/event-stream" } });
    const events = (await response.text()).split("\n\n").filter((event) => event.startsWith("data: "));
    return events.map((event) => JSON.parse(event.slice(6)) as Provision);
  }

  /** An instance that is ready. */
  async instance(label: string): Promise<Provision> {
    const { id } = await this.begin(label);
    const last = (await this.settled(id)).at(-1)!;
    if (last.state !== "ready") throw new Error(JSON.stringify(last));
    return last;
  }

  /** The bootstrap token behind a one-shot link. */
  async reveal({
    first_run_url,
  }: Provision): Promise<{ url: string; token: string; recovery_code: string | null }> {
    return this.json(new URL(first_run_url).pathname, { method: "POST" });
  }
}
