import { safeText } from "../lib/base/safe_text.ts";

/** What is told where a command without a daemon has upgraded the store; a daemon writes it to its log. */
export function upgradeNote(snapshot: string): string {
  return `the store was of an earlier release and is upgraded; a copy of before is ${safeText(snapshot)}`;
}
