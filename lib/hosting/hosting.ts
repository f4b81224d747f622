import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { Registry } from "./registry.ts";
import type { Driver, Plan } from "./types.ts";

/** Who may ask for an instance: everybody, who has an invitation, nobody. */
export type Signup = "open" | "invite" | "closed";

/** How a hosting service is run. Times in milliseconds. */
export interface HostingSettings {
  /** Where the service itself is, an origin: `https://syncropel.com`. */
  base: string;
  /** Instances at `<label>.<domain>`, or at `<base>/i/<label>` where there are no wildcard names. */
  addressing: "host" | "path";
  /** The first is the one that a visitor is offered. */
  plans: readonly Plan[];
  signup: Signup;
  /** Instances at one time. */
  mostPerOwner: number;
  most: number;
  /** How long a phase may take. */
  deadlines: { volume: number; machine: number; boot: number; bootstrap: number };
  /** An instance sleeps after so long without a request; null: never. */
  idleMs: number | null;
}

export interface HostingPorts {
  clock: Clock;
  random: Random;
  /** Requests to machines. */
  fetch: (url: string, init?: RequestInit) => Promise<Response>;
  /** Aborts after so many milliseconds. */
  deadline: (ms: number) => AbortSignal;
  /** Aborts when the service begins to stop: what is under way is left as it is, and gone on with at the next start. */
  stopping: AbortSignal;
  /** Keeps the process alive until it is done; it never rejects. */
  background: (task: Promise<void>) => void;
  log: (event: string, facts?: Record<string, string | number | boolean | null>) => void;
}

/** One hosting service: what it remembers, what makes its machines, how it is run. */
export interface Hosting {
  registry: Registry;
  driver: Driver;
  settings: HostingSettings;
  ports: HostingPorts;
  /** 32 bytes that are kept apart from the database: links follow from them. */
  key: Uint8Array;
}

/** Where the instance with this label is reached; without a slash at the end. */
export function instanceUrl({ base, addressing }: HostingSettings, label: string): string {
  if (addressing === "path") return `${base}/i/${label}`;
  const { protocol, host } = new URL(base);
  return `${protocol}//${label}.${host}`;
}
