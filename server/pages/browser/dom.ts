import { safeText } from "../../../lib/base/safe_text.ts";

type Child = Node | string | null;

/** An element of the page's own HTML. */
export function element<T extends HTMLElement = HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

/**
 * A new element. Strings become text, never markup, and what could hide or reorder it becomes visible.
 * @param attributes none of them from a record, except `datetime` and an `href` that was checked
 */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  fill(made, ...children);
  return made;
}

/** Puts these in the place of what an element holds. */
export function fill(parent: Element, ...children: Child[]): void {
  parent.replaceChildren(
    ...children
      .filter((child) => child !== null)
      .map((child) => (typeof child === "string" ? safeText(child) : child)),
  );
}

/** `fill` for what is shown anew: nothing happens to what is the same, and the focus stays where it is. */
export function refill(parent: Element, ...children: Child[]): void {
  const next = parent.cloneNode(false) as Element;
  fill(next, ...children);
  if (next.isEqualNode(parent)) return;
  const at = focusable(parent).indexOf(document.activeElement as HTMLElement);
  parent.replaceChildren(...next.childNodes);
  focusable(parent)[at]?.focus();
}

function focusable(parent: Element): HTMLElement[] {
  return [...parent.querySelectorAll<HTMLElement>("a, button")];
}

export function button(label: string, run: () => void, kind = "plain"): HTMLButtonElement {
  const made = make("button", { type: "button", class: kind }, label);
  made.addEventListener("click", run);
  return made;
}

/** Names and values, as a description list; without those that are null. */
export function facts(rows: readonly (readonly [string, Child])[]): HTMLDListElement {
  const shown = rows.filter(([, value]) => value !== null);
  return make("dl", {}, ...shown.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

/** A text with a button that copies it, also where a page may not use the clipboard by itself (plain http on a LAN). */
export function copyable(text: string, what: string, shown: Child = text): HTMLElement {
  const copy = button("Copy", run, "plain small");
  async function run() {
    await copyText(text);
    fill(copy, "Copied");
    setTimeout(() => fill(copy, "Copy"), 2000);
  }
  copy.setAttribute("aria-label", `Copy ${what}`);
  return make("span", { class: "copyable" }, make("code", {}, shown), copy);
}

/** A command line that wraps between its words only: not behind the dashes of an option. */
export function command(line: string): HTMLElement {
  return make("code", {}, ...words(line));
}

export function copyableCommand(line: string): HTMLElement {
  return copyable(line, "the command", make("span", {}, ...words(line)));
}

function words(line: string): Child[] {
  return line
    .split(" ")
    .flatMap((word, at) => [at === 0 ? null : " ", make("span", { class: "word" }, word)]);
}

async function copyText(text: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const before = document.activeElement;
  const field = make("textarea", { class: "unseen", "aria-hidden": "true" });
  field.value = text;
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
  if (before instanceof HTMLElement) before.focus();
}
