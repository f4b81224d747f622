import type { Consent, Pair } from "../../../../lib/api/wire.ts";
import { facts, make, refill } from "../dom.ts";
import type { Desk, View } from "./desk.ts";
import { chip, count, duration, empty, moment, outside } from "./words.ts";

const TONES: Record<string, string> = { active: "good", degraded: "wrong", revoked: "wrong" };

/** Instances that this one is paired with, and what beside the default namespace is shared with them. */
export function pairs(desk: Desk): View {
  const list = make("div");
  const grants = make("div");
  return {
    heading: "Pairs",
    scope: "records:read",
    body: make("div", {}, list, make("h2", { class: "over" }, "Consent"), grants),
    async refresh() {
      const [paired, consent] = await Promise.all([
        desk.get<Pair[]>("v1/federation/pairs"),
        desk.get<Consent[]>("v1/consent"),
      ]);
      refill(
        list,
        paired.length === 0
          ? empty("No pair yet. This asks another instance to be one: ", "spl federation pair URL")
          : make("ul", { class: "cards" }, ...paired.map(pairCard)),
      );
      refill(
        grants,
        consent.length === 0
          ? empty(
              "Only the default namespace is shared with pairs. This shares another: ",
              "spl consent grant",
            )
          : make("ul", { class: "rows" }, ...consent.map(grantRow)),
      );
    },
  };
}

function pairCard({
  peer_did,
  url,
  state,
  approval,
  last_sync,
  mode,
  interval_s,
  threads,
  problem,
}: Pair): HTMLElement {
  const waits = { here: "waits for approval here", there: "waits for approval there" };
  const every =
    mode === "polling"
      ? `polling, every ${interval_s < 60 ? `${interval_s} s` : duration(interval_s)}`
      : mode;
  return make(
    "li",
    { class: "card" },
    make("h2", { class: "name" }, peer_did),
    make(
      "p",
      { class: "meta" },
      chip(state, TONES[state] ?? ""),
      approval === null ? null : make("span", {}, waits[approval]),
    ),
    facts([
      ["URL", url === null ? "unknown" : outside(url)],
      ["Last sync", last_sync === null ? "never" : moment(last_sync)],
      ["Mode", every],
      ["Threads", threads === null ? null : count(threads.length, "thread")],
      ["Problem", problem === null ? null : make("span", { class: "wrong" }, problem)],
    ]),
  );
}

function grantRow({ from, to }: Consent): HTMLElement {
  return make("li", {}, `namespace ${from} → `, to === "*" ? "every pair" : make("code", {}, to));
}
