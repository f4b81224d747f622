import type { ThreadSummary } from "../../../../lib/api/wire.ts";
import { fill, make } from "../dom.ts";
import type { Desk, View } from "./desk.ts";
import { Listing, type Row } from "./listing.ts";
import { chip, count, empty } from "./words.ts";

const PAGE = 100;
const TONES: Record<string, string> = { open: "act", done: "good" };

/** All threads, and a filter over those that are loaded. */
export function threads(desk: Desk): View {
  const filter = make("input", {
    id: "filter",
    type: "search",
    class: "text",
    autocomplete: "off",
    spellcheck: "false",
  });
  const listing = new Listing<ThreadSummary>(desk, {
    path: "v1/threads",
    limit: PAGE,
    noun: "thread",
    key: ({ thread }) => thread,
    row,
    total: () => desk.standing?.threads ?? null,
    passes: (item) => textOf(item).includes(filter.value.trim().toLowerCase()),
    empty: empty("No thread yet. A goal opens one: ", 'spl intend "move to the new disk"'),
  });
  filter.addEventListener("input", () => listing.filter());
  return {
    heading: "Threads",
    scope: "records:read",
    body: make(
      "div",
      {},
      make("div", { class: "filter" }, make("label", { for: "filter" }, "Filter what is shown"), filter),
      listing.node,
    ),
    refresh: () => listing.refreshAll(),
  };
}

function textOf({ thread, goal, state, namespace }: ThreadSummary): string {
  return `${goal ?? ""}\n${thread}\n${state}\n${namespace}`.toLowerCase();
}

function row(): Row<ThreadSummary> {
  const goal = make("a", { class: "goal" });
  const meta = make("p", { class: "meta" });
  return {
    node: make("li", {}, goal, meta),
    show(thread) {
      fill(goal, nameOf(thread));
      goal.href = `#/threads/${thread.thread}`;
      fill(
        meta,
        ...metaOf(thread),
        thread.goal === null ? null : make("code", {}, shortThread(thread.thread)),
      );
    },
  };
}

/** What a thread is called. */
export function nameOf({ goal, thread }: Pick<ThreadSummary, "goal" | "thread">): string {
  return goal === null || goal.trim() === "" ? shortThread(thread) : cut(goal, 300);
}

/** A minted id by its first characters; one that was given whole. */
export function shortThread(thread: string): string {
  return /^th_[0-9a-f]{64}$/.test(thread) ? `${thread.slice(0, 13)}…` : thread;
}

export function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most)}…`;
}

export function metaOf({ state, records, clock, forks, namespace }: ThreadSummary): (Node | null)[] {
  return [
    state === "none" ? null : chip(state, TONES[state] ?? ""),
    make("span", {}, count(records, "record")),
    make("span", {}, `clock ${clock}`),
    forks === 0 ? null : chip(count(forks, "fork"), "wrong"),
    namespace === "default" ? null : make("span", {}, `namespace ${namespace || "none"}`),
  ];
}
