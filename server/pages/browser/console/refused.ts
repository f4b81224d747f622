import { button, copyableCommand, make } from "../dom.ts";
import { type Desk, pairCommand } from "./desk.ts";

/** What stands in the place of a view that this browser may not see. */
export function refused({ session: { scopes }, signOut }: Desk, scope: string): HTMLElement[] {
  const grains = scopes.flatMap((each) => /^thread:(th_[\w-]+):read$/.exec(each)?.[1] ?? []);
  const wanted = scope === "admin" ? [scope] : [...scopes, scope];
  return [
    make(
      "section",
      { class: "card", "aria-label": "Not for this browser" },
      make(
        "p",
        {},
        "This takes the scope ",
        make("code", {}, scope),
        ", which the token of this browser does not have. It has ",
        make("code", {}, scopes.join(" ")),
        ".",
      ),
      make("p", {}, "To let it see more, sign out and pair it again, with a code made by:"),
      make("p", {}, copyableCommand(pairCommand(wanted))),
      button("Sign out", signOut),
    ),
    ...(grains.length === 0
      ? []
      : [
          make("h2", { class: "over" }, "Threads that it may read"),
          make(
            "ul",
            { class: "rows" },
            ...grains.map((id) => make("li", {}, make("a", { class: "goal", href: `#/threads/${id}` }, id))),
          ),
        ]),
  ];
}
