import type { Status } from "../../../../lib/api/wire.ts";
import { button, copyable, facts, make, refill } from "../dom.ts";
import type { Desk, View } from "./desk.ts";
import { chip, duration, number } from "./words.ts";

/** Who the instance is and how much it holds. */
export function overview(desk: Desk): View {
  const tiles = make("dl", { class: "tiles" });
  const about = make("div");
  return {
    heading: "Overview",
    scope: "records:read",
    body: make(
      "div",
      {},
      tiles,
      make("section", { class: "card about", "aria-label": "This instance" }, about),
      browser(desk),
    ),
    async refresh() {
      const status = await desk.get<Status>("v1/status");
      refill(
        tiles,
        tile("Records", status.records),
        tile("Threads", status.threads),
        tile("Forks", status.forks),
      );
      refill(
        about,
        facts([
          ["Instance", copyable(status.instance_did, "the instance's DID")],
          ["State", chip(status.state, status.state === "active" ? "good" : "wrong")],
          ["Digest", copyable(status.digest, "the digest")],
          ["URL", make("code", {}, status.url)],
          ["Version", `spl ${status.version}`],
          ["Up for", duration(status.uptime_s)],
        ]),
        make(
          "p",
          { class: "quiet" },
          "Two instances hold the same records exactly when count and digest are equal.",
          status.forks > 0
            ? " Forks are records that claim one position of a thread; none of them is lost."
            : null,
        ),
      );
    },
  };
}

function tile(name: string, n: number): HTMLElement {
  return make("div", {}, make("dt", {}, name), make("dd", {}, number(n)));
}

/** What this browser may do here, and the way out. */
export function browser({ session, signOut }: Desk): HTMLElement {
  const { token, device, account, scopes } = session;
  const as =
    token === null
      ? "Nobody is asked for a token on this machine (--insecure-localhost)."
      : device === null
        ? `A token of the account ${account} is kept in this browser.`
        : `This browser is the device ${device}.`;
  return make(
    "section",
    { class: "card", "aria-labelledby": "browser-title" },
    make("h2", { id: "browser-title" }, "This browser"),
    make("p", {}, as),
    facts([["Scopes", make("code", {}, scopes.join(" "))]]),
    token === null ? null : button("Sign out", signOut),
  );
}
