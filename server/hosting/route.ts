import type { HostingService } from "../../lib/hosting/service.ts";
import type { Matched } from "../match.ts";

/** How a request came to the hosting service. */
export interface Visitor {
  /** The client's address; null for the operator, over the service's own socket. */
  client: string | null;
  /** Aborts when the service begins to stop. */
  stopping: AbortSignal;
  /** Lets the request be silent for as long as it likes. */
  patience?: () => void;
}

/** One request to the hosting service itself. */
export interface HostingCall {
  service: HostingService;
  request: Request;
  url: URL;
  params: Record<string, string>;
  /** The client's address. */
  client: string;
  /** Whose session the request shows, or null. */
  owner: string | null;
  /** Aborts when the service begins to stop. */
  stopping: AbortSignal;
  /** Lets this request be silent for as long as it likes. */
  patience?: () => void;
}

export interface HostingRoute extends Matched {
  summary: string;
  /** Calls of one address: so many in so many milliseconds. */
  pace?: {
    most: number;
    windowMs: number;
    /** What an address is counted apart for, or null. */
    apart?: (service: HostingService, params: Record<string, string>) => Promise<string | null>;
  };
  /** Over the service's own Unix socket only: for who runs it. */
  operator?: true;
  handle(call: HostingCall): Response | Promise<Response>;
}
