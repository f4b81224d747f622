/** What a hosting service tells who runs it. Names are those of the JSON output. */

export interface HostedInstanceSummary {
  label: string;
  /** 16 hex: names its folder or app. */
  id: string;
  url: string;
  plan: string;
  /** `awake` or `asleep` once it is ready; before and after that, what is happening to it. */
  state: string;
  /** Requests and streams that are open now. */
  requests: number;
  /** Of the identity that it was made with; an import gives it another. */
  first_did: string | null;
  /** ISO 8601. */
  created_at: string;
  ready_at: string | null;
}

export interface HostedInstanceDetail extends HostedInstanceSummary {
  phases: { phase: string; state: string; started_at: string | null; took_ms: number | null }[];
  failure: { code: string; phase: string; message: string; hint: string | null } | null;
}

export interface Invitation {
  /** In clear: shown this once. */
  invitation: string;
  expires_at: string;
  /** Where sign-up is `open` nobody needs one. */
  signup: "open" | "invite";
}
