import type { Instance } from "../instance/instance.ts";
import type { AddressPolicy } from "./addresses.ts";

/** What everything that speaks with other instances shares. */
export interface FederationContext {
  instance: Instance;
  /** Where others reach this instance: the public URL, else the bound address; null for an isolated one. */
  url(): string | null;
  policy: AddressPolicy;
  /** Base URL of the directory that is asked and published to, or null for none. */
  directory: string | null;
  /** DIDs, `*` for any run of characters, whose pair requests are approved unseen. */
  autoApprove: string[];
  /** Nothing is published, pushed, polled or connected to. */
  isolated: boolean;
  /** Tells who follows this instance that its state or records have changed. */
  announce(): void;
  log(event: string, facts?: Record<string, string | number | boolean | null>): void;
  /** Told the `Date` of an answer, or null where it has none. */
  heardClock?: (origin: string, date: string | null) => void;
  /** Addresses of a host name; the system's unless a test says otherwise. */
  resolve?: (host: string) => Promise<string[]>;
}
