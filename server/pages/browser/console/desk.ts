import type { Status } from "../../../../lib/api/wire.ts";

/** What the stream of events tells, and `/v1/status` as well. */
export type Standing = Pick<
  Status,
  | "instance_did"
  | "state"
  | "moved_to"
  | "same_address"
  | "since"
  | "records"
  | "threads"
  | "forks"
  | "digest"
>;

/** Who looks: what the token of this browser may do. */
export interface Session {
  /** Null where the instance asks nobody for a token. */
  token: string | null;
  account: string;
  /** Null for a token that was pasted. */
  device: string | null;
  scopes: readonly string[];
}

/** What a view works with. */
export interface Desk {
  session: Session;
  /** Null until it is known, and for who may not know it. */
  standing: Standing | null;
  instanceDid: string;
  /** @throws Refusal */
  get<T>(path: string): Promise<T>;
  /** Says it to who listens to the page instead of looking at it. */
  tell(text: string): void;
  signOut(): void;
}

export interface View {
  heading: string;
  body: HTMLElement;
  /** What it asks for; without it the view says how to get it. */
  scope: string;
  /** Fetches what has changed. @throws Refusal */
  refresh(): Promise<void>;
}

export function may({ scopes }: Pick<Session, "scopes">, scope: string): boolean {
  return scopes.includes(scope) || scopes.includes("admin");
}

/** Where this instance is, as its browser sees it. */
export function here(): string {
  return (location.origin + location.pathname).replace(/\/$/, "");
}

/** The command that lets a browser in with these scopes. */
export function pairCommand(scopes: readonly string[]): string {
  const [name] = crypto.getRandomValues(new Uint16Array(1));
  const device = `browser-${name!.toString(16).padStart(4, "0")}`;
  return `spl pair --device ${device} --url ${here()} --scopes ${scopes.join(",")}`;
}
