import { z } from "zod";
import { BUNDLE_TYPE } from "../../../lib/api/media.ts";
import { SplError } from "../../../lib/base/errors.ts";
import { end, type Proof, takeBundle } from "../../../lib/hosting/ending.ts";
import { newRecoveryCodeOf, ownInstance, recover, requireOwner } from "../../../lib/hosting/owners.ts";
import type { HostedInstance } from "../../../lib/hosting/registry.ts";
import { secretHash } from "../../../lib/hosting/secrets.ts";
import { json } from "../../answer.ts";
import { readSmallJson } from "../body.ts";
import type { HostingCall, HostingRoute } from "../route.ts";
import { sessionCookie, sessionIn } from "../session.ts";

const MINUTE = 60_000;

/** Which bundle the owner holds, or that none is wanted: one of them has to be said. */
const Farewell = z.strictObject({
  bundle_sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/, "must be 64 lowercase hex digits")
    .optional(),
  without_bundle: z.boolean().optional(),
});

export const ownerRoutes: HostingRoute[] = [
  {
    method: "POST",
    path: "/v1/recover",
    summary: "Signs the owner in who holds this recovery code",
    pace: { most: 10, windowMs: 10 * MINUTE },
    async handle({ service: { hosting }, request }) {
      const { code } = await readSmallJson(request, z.strictObject({ code: z.string().max(200) }));
      const secret = await recover(hosting, code);
      return json({ signed_in: true }, 200, { "set-cookie": sessionCookie(secret, hosting.settings.base) });
    },
  },
  {
    method: "POST",
    path: "/v1/recovery-code",
    summary: "A new recovery code for the session's owner, shown this once; the one before it is void",
    pace: { most: 10, windowMs: 10 * MINUTE },
    async handle({ service: { hosting }, owner }) {
      return json({ recovery_code: await newRecoveryCodeOf(hosting, requireOwner(owner)) });
    },
  },
  {
    method: "POST",
    path: "/v1/sign-out",
    summary: "Ends the session",
    async handle({ service: { hosting }, request }) {
      const secret = sessionIn(request, hosting.settings.base);
      if (secret !== null) await hosting.registry.endSession(secretHash(secret));
      return json({ signed_in: false }, 200, { "set-cookie": sessionCookie(null, hosting.settings.base) });
    },
  },
  {
    method: "GET",
    path: "/v1/provision/:id/bundle",
    summary: "The instance as a bundle, with its identity: who holds the file can act as the instance",
    async handle({ service, owner, params, patience }) {
      const instance = await ownInstance(service.hosting, owner, params.id!);
      requireReady(instance);
      patience?.();
      const name = `${instance.label}.tar.zst`;
      const bundle = await service.awake.serve(instance.id, () => takeBundle(service.access, instance));
      bundle.headers.set("content-type", BUNDLE_TYPE);
      bundle.headers.set("content-disposition", `attachment; filename="${name}"`);
      return bundle;
    },
  },
  {
    method: "POST",
    path: "/v1/provision/:id/leave",
    summary: "Removes the instance; its address then says where the identity lives now",
    handle: (call) => farewell(call, "left"),
  },
  {
    method: "DELETE",
    path: "/v1/provision/:id",
    summary: "Removes the instance",
    handle: (call) => farewell(call, "deleted"),
  },
];

async function farewell(
  { service, request, owner, params }: HostingCall,
  to: "left" | "deleted",
): Promise<Response> {
  const instance = await ownInstance(service.hosting, owner, params.id!);
  requireReady(instance);
  const { bundle_sha256, without_bundle } = await readSmallJson(request, Farewell);
  const proof: Proof | undefined = without_bundle ? null : bundle_sha256;
  if (proof === undefined) {
    throw new SplError("conflict", "it was not said which bundle its owner holds", {
      hint: "download it, or spl export, and name its bundle_sha256; without_bundle: true gives everything up",
    });
  }
  await end(service.access, instance, to, proof, service.awake);
  return json({ id: instance.id, label: instance.label, state: to });
}

function requireReady({ state }: HostedInstance): void {
  if (state !== "ready") throw new SplError("conflict", `the instance is ${state}, not ready`);
}
