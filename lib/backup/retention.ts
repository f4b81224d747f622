/**
 * Which backups stay: restic's calendar rules, in UTC. Each rule walks from the newest to the oldest and keeps the first
 * (newest) backup of each of the N latest days, weeks (ISO 8601) or months that have one; days without a backup do not
 * count. While a rule is not used up, it keeps the oldest backup as well. A backup stays when any rule keeps it.
 * Source: restic, `internal/restic/snapshot_policy.go`.
 */
export interface Retention {
  last?: number | undefined;
  daily?: number | undefined;
  weekly?: number | undefined;
  monthly?: number | undefined;
}

interface Rule {
  left: number;
  period(time: number, at: number): string;
}

const day = (time: number): string => new Date(time).toISOString().slice(0, 10);

/** The Thursday of a date's ISO week decides which year the week belongs to, so its day stands for the week. */
function week(time: number): string {
  const date = new Date(time);
  return day(
    Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate() + 4 - (date.getUTCDay() || 7)),
  );
}

export interface Candidate {
  name: string;
  /** Unix milliseconds. */
  time: number;
}

/**
 * The backups to remove, oldest first. Without a rule nothing is removed.
 * @param lastVerified name of the newest backup that was read back whole: it stays whatever the rules say
 */
export function toPrune<T extends Candidate>(
  backups: readonly T[],
  { last, daily, weekly, monthly }: Retention,
  lastVerified: string | null,
): T[] {
  const all: Rule[] = [
    { left: last ?? 0, period: (_, at) => String(at) },
    { left: daily ?? 0, period: day },
    { left: weekly ?? 0, period: week },
    { left: monthly ?? 0, period: (time) => day(time).slice(0, 7) },
  ];
  const rules = all.filter(({ left }) => left > 0);
  if (rules.length === 0) return [];
  const newestFirst = [...backups].sort((a, b) => b.time - a.time || (a.name < b.name ? 1 : -1));
  const kept = new Set<string | null>([lastVerified]);
  for (const { left, period } of rules) {
    let remaining = left;
    let before: string | undefined;
    for (const [at, { name, time }] of newestFirst.entries()) {
      if (remaining === 0) break;
      const here = period(time, at);
      if (here === before && at < newestFirst.length - 1) continue;
      kept.add(name);
      before = here;
      remaining--;
    }
  }
  return newestFirst.filter(({ name }) => !kept.has(name)).reverse();
}
