import { SplError } from "../base/errors.ts";
import { type Hosting, instanceUrl } from "./hosting.ts";
import { checkLabel } from "./labels.ts";
import { newId } from "./owners.ts";
import { notInvited } from "./registry.ts";
import { linkSecret, newSecret, secretHash } from "./secrets.ts";
import type { Plan } from "./types.ts";

export interface Wish {
  label: string;
  /** Name of a plan; the first one when none is named. */
  plan?: string | undefined;
  invitation?: string | undefined;
}

/** How long an invitation waits to be used unless said otherwise, milliseconds. */
export const INVITATION_MS = 7 * 24 * 60 * 60 * 1000;

/**
 * Takes the label for a new instance of this owner, or of a new one. Its making has yet to be started.
 * @throws SplError invalid_request for the label or plan; forbidden where sign-up is closed or not for this invitation;
 *   label_taken, limit_reached
 */
export async function reserve(
  hosting: Hosting,
  wish: Wish,
  owner: string | null,
): Promise<{ id: string; owner: string }> {
  const { registry, settings, ports } = hosting;
  const label = checkLabel(wish.label);
  const plan = planOf(settings.plans, wish.plan);
  const invitation = invited(hosting, wish.invitation);
  const id = newId(hosting);
  const link = secretHash(linkSecret(hosting.key, id, 1));
  const machine = { id, label, url: instanceUrl(settings, label), plan, link };
  const whose = owner ?? newId(hosting);
  const most = { owner: settings.mostPerOwner, all: settings.most };
  await registry.reserve({ ...machine, owner: whose }, most, invitation, ports.clock());
  ports.log("reserved", { instance: id, label });
  return { id, owner: whose };
}

function planOf(plans: readonly Plan[], name: string | undefined): Plan {
  const plan = name === undefined ? plans[0] : plans.find((each) => each.name === name);
  if (plan) return plan;
  throw new SplError("invalid_request", "there is no such plan", {
    hint: `choose one of ${plans.map((each) => each.name).join(", ")}`,
  });
}

/** The invitation's hash where one is needed. */
function invited({ settings: { signup } }: Hosting, invitation: string | undefined): string | null {
  if (signup === "open") return null;
  if (signup === "closed") {
    throw new SplError("forbidden", "this service takes no new instances", { hint: "ask who runs it" });
  }
  if (invitation === undefined || invitation === "") {
    throw new SplError("forbidden", "an instance here needs an invitation", {
      hint: "ask who runs this service for one",
    });
  }
  if (invitation.length > 100) throw notInvited();
  return secretHash(invitation);
}

/** An invitation for one instance, in clear. */
export async function invite(
  { registry, ports }: Hosting,
  lifeMs = INVITATION_MS,
): Promise<{ invitation: string; expires_at: number }> {
  const invitation = newSecret(ports.random);
  const now = ports.clock();
  await registry.addInvitation(secretHash(invitation), now + lifeMs, now);
  return { invitation, expires_at: now + lifeMs };
}

/** A one-shot link to the first-run page, in place of those before it; its path below the service. */
export async function addLink({ registry, key, ports }: Hosting, id: string): Promise<string> {
  const n = await registry.addLink(id, (n) => secretHash(linkSecret(key, id, n)), ports.clock());
  return linkPath(key, id, n);
}

export function linkPath(key: Uint8Array, id: string, n: number): string {
  return `/first-run/${linkSecret(key, id, n)}`;
}
