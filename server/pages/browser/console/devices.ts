import type { Device } from "../../../../lib/api/wire.ts";
import { facts, make, refill } from "../dom.ts";
import type { Desk, View } from "./desk.ts";
import { chip, empty, moment } from "./words.ts";

const TONES: Record<string, string> = { connected: "good", revoked: "wrong", refused: "wrong" };

/** Devices that were paired with this instance, by name. */
export function devices(desk: Desk): View {
  const list = make("div");
  return {
    heading: "Devices",
    scope: "admin",
    body: list,
    async refresh() {
      const all = await desk.get<Device[]>("v1/devices");
      refill(
        list,
        all.length === 0
          ? empty("No device was paired. This makes a code for one: ", 'spl pair --device "iPhone"')
          : make(
              "ul",
              { class: "cards" },
              ...all.map((device) => card(device, device.account === desk.session.account)),
            ),
        all.length === 0
          ? null
          : make("p", { class: "quiet" }, "To end one: ", make("code", {}, "spl device revoke NAME")),
      );
    },
  };
}

function card({ device, state, scopes, last_used_at }: Device, own: boolean): HTMLElement {
  return make(
    "li",
    { class: "card" },
    make("h2", { class: "name" }, device),
    make(
      "p",
      { class: "meta" },
      chip(state, TONES[state] ?? ""),
      own ? make("span", {}, "this browser") : null,
    ),
    facts([
      ["Scopes", make("code", {}, scopes.join(" "))],
      ["Last used", last_used_at === null ? "never" : moment(last_used_at)],
    ]),
  );
}
