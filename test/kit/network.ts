import { outside } from "./outside.ts";

/** Addresses of machines, by their numbers; nothing outside is ever reached. */
const address = (n: number) => `10.87.0.${n}`;

/** Whether this process may make networks: that takes root, and iproute2. */
export const canMakeNetworks = Bun.which("ip") !== null && mayAdd();

let networks = 0;

/** A place in the network: what runs `under` it has this address, and none of this machine's. */
export interface Place {
  n: number;
  address: string;
  /** Command line that a program is appended to. */
  under: string[];
}

/**
 * A network of its own within this machine (ip-netns(8)): each place is reached at one address, and can be cut off so that
 * what is sent there is not refused, but lost. Removed at the end of its scope.
 */
export class Network implements Disposable {
  readonly #hub = `spl-${process.pid}-${++networks}`;
  readonly #places = new Set<number>();

  /** @throws Error where this process may not make networks */
  constructor() {
    ip("netns", "add", this.#hub);
    this.#in(this.#hub, "link", "add", "hub", "type", "bridge");
    this.#in(this.#hub, "link", "set", "hub", "up");
  }

  /** @param n 2 to 254, each once */
  place(n: number): Place {
    const name = this.#nameOf(n);
    ip("netns", "add", name);
    this.#places.add(n);
    ip("link", "add", "out", "netns", name, "type", "veth", "peer", "name", `to${n}`, "netns", this.#hub);
    this.#in(this.#hub, "link", "set", `to${n}`, "master", "hub", "up");
    this.#in(name, "link", "set", "lo", "up");
    this.#in(name, "link", "set", "out", "up");
    this.#in(name, "addr", "add", `${address(n)}/24`, "dev", "out");
    return { n, address: address(n), under: ["ip", "netns", "exec", name] };
  }

  /** From here on nothing gets there or comes from there; nobody is told. */
  cut({ n }: Place): void {
    this.#in(this.#hub, "link", "set", `to${n}`, "nomaster");
  }

  join({ n }: Place): void {
    this.#in(this.#hub, "link", "set", `to${n}`, "master", "hub");
  }

  [Symbol.dispose](): void {
    for (const n of this.#places) ip("netns", "del", this.#nameOf(n));
    ip("netns", "del", this.#hub);
  }

  #nameOf(n: number): string {
    return `${this.#hub}-${n}`;
  }

  #in(namespace: string, ...args: string[]): void {
    ip("-n", namespace, ...args);
  }
}

function mayAdd(): boolean {
  const name = `spl-${process.pid}-probe`;
  const added = Bun.spawnSync(["ip", "netns", "add", name]).success;
  if (added) ip("netns", "del", name);
  return added;
}

function ip(...args: string[]): void {
  outside(["ip", ...args]);
}
