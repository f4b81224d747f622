import type { Status } from "../lib/api/wire.ts";
import { safeText } from "../lib/ui/safe_text.ts";

/** Whether an instance is still who it was, and where its identity lives if not. */
export function stateLine({ state, moved_to, since }: Pick<Status, "state" | "moved_to" | "since">): string {
  if (since === null) return state;
  if (state === "revoked") return `revoked (${since})`;
  return safeText(`superseded: moved to ${moved_to ?? "another home, which has no address"} (${since})`);
}
