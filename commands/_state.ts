import type { Status } from "../lib/api/wire.ts";
import { safeText } from "../lib/base/safe_text.ts";

type Standing = Pick<Status, "state" | "moved_to" | "same_address" | "since">;

/** Whether an instance is still who it was, and where its identity lives if not. */
export function stateLine({ state, moved_to, same_address, since }: Standing): string {
  if (since === null) return state;
  if (state === "revoked") return `revoked (${since})`;
  const place = moved_to ?? "another home, which has no address";
  const told = same_address ? `another home at the same address, ${place}` : place;
  return safeText(`superseded: moved to ${told} (${since})`);
}
