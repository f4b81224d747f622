/** Whom `--ping` tells: a server that notes what it hears, as `GET /path`. */
export class Watcher implements AsyncDisposable {
  readonly heard: string[] = [];
  readonly #server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) => {
      this.heard.push(`${request.method} ${new URL(request.url).pathname}`);
      return new Response("OK");
    },
  });
  readonly url = `http://127.0.0.1:${this.#server.port}/uuid`;

  async stop(): Promise<void> {
    await this.#server.stop(true);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
