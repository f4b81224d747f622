import type { Awake } from "./awake.ts";
import { goOnEnding } from "./ending.ts";
import type { Hosting } from "./hosting.ts";
import type { Provisioner } from "./provision.ts";
import { type InstanceState, REMOVING } from "./registry.ts";

/** From the first look at what has come to no end to the next attempt, milliseconds; then twice that. */
const FIRST_MS = 30_000;
const MOST_MS = 60 * 60 * 1000;

/** What an instance does not stay. */
const STATES: readonly InstanceState[] = ["provisioning", "failing", "ending", ...Object.values(REMOVING)];

/**
 * Goes on with what came to no end: a removal that the driver could not make, work that the database failed under. For as
 * long as the service runs, less and less often.
 */
export class Unfinished {
  readonly #waits = new Map<string, { ms: number; nextAt: number }>();

  constructor(
    readonly hosting: Hosting,
    readonly provisioner: Provisioner,
    readonly awake: Pick<Awake, "found">,
  ) {}

  /** Looks what is due, and begins with it in the background; to be called every few seconds. It never rejects. */
  async sweep(): Promise<void> {
    const { registry, ports } = this.hosting;
    if (ports.stopping.aborted) return;
    try {
      const left = await registry.list({ states: STATES });
      const ids = new Set(left.map(({ id }) => id));
      for (const id of this.#waits.keys()) if (!ids.has(id)) this.#waits.delete(id);
      for (const each of left) if (this.#isDue(each.id)) this.#goOn(each);
    } catch (error) {
      ports.log("sweep-failed", { error: String(error) });
    }
  }

  #isDue(id: string): boolean {
    const now = this.hosting.ports.clock();
    const wait = this.#waits.get(id);
    if (wait !== undefined && now < wait.nextAt) return false;
    const ms = wait === undefined ? FIRST_MS : Math.min(2 * wait.ms, MOST_MS);
    this.#waits.set(id, { ms, nextAt: now + ms });
    // What is seen for the first time may be under way.
    return wait !== undefined;
  }

  #goOn({ id, state }: { id: string; state: InstanceState }): void {
    if (state === "provisioning" || state === "failing") this.provisioner.start(id);
    else this.hosting.ports.background(goOnEnding(this.hosting, id, this.awake));
  }
}
