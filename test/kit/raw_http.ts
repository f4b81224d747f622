import { createServer, connect as dial, type Server, type Socket } from "node:net";

/** Bytes on sockets: what no HTTP library would send or let through. */

/** What came back until the other end closed, or until `enough`; then this end closes. */
export interface RawAnswer {
  text: string;
  /** `closed` in order, `reset`, or `enough` when this end closed. */
  end: "closed" | "reset" | "enough";
}

export function rawRequest(
  port: number,
  request: string,
  enough: (text: string) => boolean = () => false,
): Promise<RawAnswer> {
  return new Promise((resolve) => {
    const socket = dial(port, "127.0.0.1");
    let text = "";
    let end: RawAnswer["end"] = "reset";
    socket.on("connect", () => socket.write(request, "latin1"));
    socket.on("data", (bytes) => {
      text += bytes.toString("latin1");
      if (!enough(text)) return;
      end = "enough";
      socket.destroy();
    });
    socket.on("end", () => {
      if (end === "reset") end = "closed";
    });
    socket.on("error", () => undefined);
    socket.on("close", () => resolve({ text, end }));
  });
}

/** A server that answers the first request of a connection by hand. */
export class RawServer implements AsyncDisposable {
  /** Heads and what came with them, one for each connection. */
  readonly heads: string[] = [];
  /** Connections that are open. */
  readonly sockets = new Set<Socket>();
  readonly #server: Server;

  private constructor(answer: (socket: Socket, head: string) => void) {
    this.#server = createServer((socket) => {
      let text = "";
      this.sockets.add(socket);
      socket.on("close", () => this.sockets.delete(socket));
      socket.on("error", () => undefined);
      socket.on("data", (bytes) => {
        const begun = text.includes("\r\n\r\n");
        if (!begun) text += bytes.toString("latin1");
        if (begun || !text.includes("\r\n\r\n")) return;
        this.heads.push(text);
        answer(socket, text);
      });
    });
  }

  static async start(answer: (socket: Socket, head: string) => void): Promise<RawServer> {
    const raw = new RawServer(answer);
    await new Promise<void>((resolve) => raw.#server.listen(0, "127.0.0.1", resolve));
    return raw;
  }

  /** Answers every request with these bytes, and closes. */
  static saying(...bytes: string[]): Promise<RawServer> {
    return RawServer.start((socket) => socket.end(bytes.join(""), "latin1"));
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as { port: number }).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
