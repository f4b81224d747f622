import type { AuditEvent, Page } from "../../../../lib/api/wire.ts";
import { facts, make, refill } from "../dom.ts";
import type { Desk, View } from "./desk.ts";
import { chip, empty, moment, number, shortDid, shortId } from "./words.ts";

const DAYS = 90;
const MOST = 50;

/** Bundles that left this instance or came into it, as the audit table tells. */
export function backups(desk: Desk): View {
  const list = make("div");
  return {
    heading: "Backups",
    scope: "admin",
    body: make(
      "div",
      {},
      make("p", {}, `Bundles that were exported or imported in the last ${DAYS} days, latest first.`),
      list,
    ),
    async refresh() {
      const since = new Date(Date.now() - DAYS * 86_400_000).toISOString();
      const moved: AuditEvent[] = [];
      for (let after: string | null = "0"; after !== null; ) {
        const page: Page<AuditEvent> = await desk.get(`v1/audit?since=${since}&after=${after}`);
        moved.push(...page.items.filter(({ event }) => event === "export" || event === "import"));
        after = page.next;
      }
      refill(
        list,
        moved.length === 0
          ? empty(
              "None. This writes all that the instance is into one signed file: ",
              "spl export --out b.tar.zst",
            )
          : make("ol", { class: "cards" }, ...moved.slice(-MOST).reverse().map(card)),
      );
    },
  };
}

function card({ at, event, detail }: AuditEvent): HTMLElement {
  const { records, inserted, identity, bundle_sha256, source_did, by } = detail;
  return make(
    "li",
    { class: "card" },
    make("p", { class: "meta first" }, chip(event === "export" ? "exported" : "imported"), moment(at)),
    facts([
      ["Records", typeof records === "number" ? number(records) : null],
      ["Inserted", typeof inserted === "number" ? number(inserted) : null],
      ["From", typeof source_did === "string" ? shortDid(source_did) : null],
      ["Identity", typeof identity === "string" ? identity : null],
      ["By", typeof by === "string" ? by : null],
      ["Content", typeof bundle_sha256 === "string" ? make("code", {}, shortId(bundle_sha256)) : null],
    ]),
  );
}
