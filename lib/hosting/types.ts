/**
 * What a hosting service is made of (spec, section 10), without saying where it runs: a driver makes machines, a
 * database remembers them. Nothing in this room needs Bun, so that the same code runs on Workers.
 */

/** What one instance may use. */
export interface Plan {
  name: string;
  cpus: number;
  memory_mb: number;
  disk_gb: number;
}

/** What a driver is asked to make; the same for the whole life of an instance. */
export interface Machine {
  /** 16 lowercase hex, never given twice: names folders and apps, so that a label never gets into a path. */
  id: string;
  label: string;
  /** Where the world reaches it, without a slash at the end; the instance is told so (`serve --public-url`). */
  url: string;
  plan: Plan;
}

/** What a driver wrote down of what it has made; JSON, kept in the journal, shown to nobody. */
export type Handles = Readonly<Record<string, string | number>>;

/** Where a machine answers the proxy: an origin, and what its requests need beside their own headers. */
export interface Address {
  /** `http://127.0.0.1:41234`, `https://spl-….fly.dev` */
  origin: string;
  headers?: Record<string, string>;
}

/** One step of a driver, which may have been begun before by a process that was killed. */
export interface Step {
  machine: Machine;
  /** As they were noted last. */
  handles: Handles;
  /** Adds to the handles and returns once they are on disk: call it between two effects that must not be lost. */
  note(handles: Handles): Promise<Handles>;
  /** Aborts at the deadline of the phase. */
  signal: AbortSignal;
}

/**
 * Makes machines that run `spl serve`. Each step is idempotent: called again, with or without what an earlier call
 * noted, it finds what is there and ends in the same state. All throw SplError; `hosting_unavailable` where trying
 * again later may help.
 */
export interface Driver {
  readonly name: string;
  /** Storage that survives the machine, and what has to be there before it: folder; or app, addresses, volume. */
  volume(step: Step): Promise<void>;
  /** The machine on that storage, reachable by nobody yet. */
  machine(step: Step): Promise<void>;
  /** Starts it, waits until its own `/health` answers, lets requests in. Throws `boot_timeout` at the deadline. */
  boot(step: Step): Promise<void>;
  /** A fresh bootstrap token of the instance, in clear; those before it that nobody used are void. */
  mintBootstrap(step: Step): Promise<string>;
  /** Starts a sleeping machine and waits until `/health` answers; nothing to do is no error. */
  wake(step: Step): Promise<void>;
  /** Stops the machine in order; its storage stays. */
  sleep(step: Step): Promise<void>;
  /** Where it answers; null while it does not run. */
  address(machine: Machine, handles: Handles): Promise<Address | null>;
  /**
   * Has it be at `machine.url` from its next start on, and at `from` no longer; it is stopped until then. A driver without
   * this leaves machines where they are.
   */
  readdress?(step: Step, from: string): Promise<void>;
  /** Removes all that there may be of it. What is not there is no error. */
  destroy(step: Omit<Step, "note">): Promise<void>;
}
