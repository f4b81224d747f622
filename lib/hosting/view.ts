import { isoTime } from "../base/clock.ts";
import type { Hosting } from "./hosting.ts";
import {
  type Failure,
  type HostedInstance,
  type InstanceState,
  PHASES,
  type Phase,
  type PhaseRow,
} from "./registry.ts";
import { linkPath } from "./signup.ts";

/** How an instance stands, as its owner is told. Names are those of the JSON form. */
export interface InstanceView {
  id: string;
  label: string;
  url: string;
  plan: string;
  state: InstanceState;
  /** The newest one-shot link; null while there is none. */
  first_run_url: string | null;
  phases: PhaseView[];
  failure: Failure | null;
  created_at: string;
}

export interface PhaseView {
  phase: Phase;
  state: "waiting" | "running" | "done" | "failed";
  started_at: string | null;
  took_ms: number | null;
}

export async function instanceView(hosting: Hosting, instance: HostedInstance): Promise<InstanceView> {
  const { registry, settings, key } = hosting;
  const { id, label, url, plan, state, links, failure, created_at } = instance;
  const journal = new Map((await registry.phases(id)).map((row) => [row.phase, row]));
  return {
    id,
    label,
    url,
    plan: plan.name,
    state,
    first_run_url: links > 0 && isThere(state) ? settings.base + linkPath(key, id, links) : null,
    phases: PHASES.map((phase) => phaseView(phase, journal.get(phase), failure)),
    failure,
    created_at: isoTime(created_at),
  };
}

/** Whether it has a machine, or is on its way to one. */
export function isThere(state: InstanceState): boolean {
  return state === "provisioning" || state === "ready";
}

function phaseView(phase: Phase, row: PhaseRow | undefined, failure: Failure | null): PhaseView {
  if (row === undefined) return { phase, state: "waiting", started_at: null, took_ms: null };
  const { started_at, ended_at } = row;
  const failed = failure?.phase === phase;
  return {
    phase,
    state: failed ? "failed" : ended_at === null ? "running" : "done",
    started_at: isoTime(started_at),
    took_ms: ended_at === null ? null : ended_at - started_at,
  };
}
