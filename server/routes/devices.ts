import { z } from "zod";
import { HTML_TYPE, JSON_TYPE } from "../../lib/api/media.ts";
import { Device, NewPairing, Pairing, PairingCode, Redeem, Redeemed } from "../../lib/api/schemas.ts";
import { readBaseUrl } from "../../lib/client/config.ts";
import { listDevices, revokeDevice } from "../../lib/instance/devices.ts";
import { pairingView, redeemPairing, startPairing } from "../../lib/instance/pairing.ts";
import { PAIR_PATH, pairingLink } from "../../lib/pairing/code.ts";
import { json } from "../answer.ts";
import { type Route, route } from "../route.ts";
import { readJson } from "../stages/body.ts";
import { guarded } from "../stages/rate.ts";

const MAX_BODY = 16 * 1024;

export const deviceRoutes: Route[] = [
  route({
    method: "GET",
    path: "/v1/devices",
    summary: "Devices, by name",
    scope: "admin",
    answers: { 200: { [JSON_TYPE]: z.array(Device) } },
    handle: async ({ ctx }) => json(await listDevices(ctx.instance)),
  }),
  route({
    method: "POST",
    path: "/v1/devices/pairings",
    summary: "Begins to pair a device, by a record on th_devices; makes a one-time code for it",
    scope: "admin",
    bodies: { [JSON_TYPE]: { limit: MAX_BODY, shape: NewPairing } },
    answers: { 201: { [JSON_TYPE]: PairingCode } },
    async handle(call) {
      const { ctx, grant } = call;
      const { device, scopes, url } = await readJson(call, NewPairing);
      const advertised = url === undefined ? ctx.url : readBaseUrl(url, "url");
      const started = await startPairing(ctx.instance, { device, scopes }, grant);
      ctx.changes.announce();
      return json({ ...started, link: pairingLink(advertised, started.code) }, 201);
    },
  }),
  route({
    method: "GET",
    path: "/v1/devices/pairings/:id",
    summary: "How far a pairing is",
    scope: "admin",
    answers: { 200: { [JSON_TYPE]: Pairing } },
    handle: async ({ ctx, params }) => json(await pairingView(ctx.instance, params.id!)),
  }),
  route({
    method: "POST",
    path: "/v1/devices/redeem",
    summary: "Redeems a pairing code for a token of the device's own",
    scope: null,
    bodies: { [JSON_TYPE]: { limit: MAX_BODY, shape: Redeem } },
    answers: { 201: { [JSON_TYPE]: Redeemed } },
    async handle(call) {
      const request = await readJson(call, Redeem);
      return json(await guarded(call, () => redeemPairing(call.ctx.instance, request)), 201);
    },
  }),
  // Behind the paths above, which it would take for names.
  route({
    method: "DELETE",
    path: "/v1/devices/:name",
    summary: "Revokes a device, by a record on th_devices; ends what is open in its name",
    scope: "admin",
    answers: { 200: { [JSON_TYPE]: Device } },
    async handle({ ctx, params, grant }) {
      const device = await revokeDevice(ctx.instance, params.name!, grant);
      await ctx.sessions.sweep();
      ctx.changes.announce();
      return json(device);
    },
  }),
  route({
    method: "GET",
    path: PAIR_PATH,
    summary: "A page that redeems a pairing code; to open it uses nothing up",
    scope: null,
    answers: { 200: { [HTML_TYPE]: null } },
    async handle() {
      const { pairPage } = await import("../pages/pair.ts");
      return pairPage();
    },
  }),
];
