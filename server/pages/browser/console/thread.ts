import type { Envelope, ThreadDetail } from "../../../../lib/api/wire.ts";
import { copyable, facts, make, refill } from "../dom.ts";
import type { Desk, View } from "./desk.ts";
import { Listing } from "./listing.ts";
import { recordRow } from "./record.ts";
import { metaOf, nameOf } from "./threads.ts";
import { empty } from "./words.ts";

const PAGE = 100;

/** One thread and its records, in canonical order. */
export function thread(desk: Desk, id: string): View {
  const path = `v1/threads/${encodeURIComponent(id)}`;
  const meta = make("p", { class: "meta" });
  const about = make("div");
  let detail: ThreadDetail | null = null;
  let forked: ReadonlySet<string> = new Set();
  const listing = new Listing<Envelope>(desk, {
    path: `${path}/records`,
    limit: PAGE,
    noun: "record",
    key: ({ id }) => id,
    row: () => recordRow(() => ({ self: desk.instanceDid, forked })),
    total: () => detail?.records ?? null,
    empty: empty("This thread holds no record."),
  });
  const view: View = {
    heading: id,
    scope: "records:read",
    body: make(
      "div",
      {},
      meta,
      about,
      make("h2", { class: "over" }, "Records"),
      listing.node,
      make("p", {}, make("a", { href: "#/threads" }, "← All threads")),
    ),
    async refresh() {
      const before = detail?.forks ?? 0;
      detail = await desk.get<ThreadDetail>(path);
      view.heading = nameOf(detail);
      forked = new Set(detail.forked.flatMap(({ ids }) => ids));
      refill(meta, ...metaOf(detail));
      refill(
        about,
        facts([
          ["Thread", copyable(detail.thread, "the thread's id")],
          ["Digest", copyable(detail.digest, "the thread's digest")],
        ]),
      );
      await listing.refreshEnd();
      // What came by a sync may belong further up, and makes a fork of what is there.
      if (detail.forks !== before || (listing.whole && listing.size !== detail.records))
        await listing.refreshAll();
    },
  };
  return view;
}
