import { isoTime } from "../base/clock.ts";
import type { AuditRow } from "../store/types.ts";
import type { Instance } from "./instance.ts";

/** What happened to this instance that is no record: sign-ins, mints, pairings, exports, imports (spec, section 2). */
export interface AuditEvent {
  n: number;
  /** ISO 8601. */
  at: string;
  event: string;
  detail: AuditRow["detail"];
}

/**
 * Events behind number `after`, oldest first, a page at a time.
 * @param since Unix milliseconds: leave out what is older
 */
export function listAudit(
  { store }: Instance,
  page: { after: number; since: number; limit: number },
): Promise<{ items: AuditEvent[]; next: string | null }> {
  return store.read(async (reader) => {
    const rows = await reader.audit({ ...page, limit: page.limit + 1 });
    const shown = rows.slice(0, page.limit);
    const items = shown.map(({ n, at, event, detail }) => ({ n, at: isoTime(at), event, detail }));
    return { items, next: rows.length > shown.length ? String(shown.at(-1)!.n) : null };
  });
}
