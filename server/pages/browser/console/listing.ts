import type { Page } from "../../../../lib/api/wire.ts";
import { button, fill, make } from "../dom.ts";
import type { Desk } from "./desk.ts";
import { count, number } from "./words.ts";

/** One line of a listing, which may be shown anew. */
export interface Row<T> {
  node: HTMLElement;
  show(item: T): void;
}

export interface ListingOptions<T> {
  /** Of the listing's pages. */
  path: string;
  limit: number;
  /** What one item is called. */
  noun: string;
  key(item: T): string;
  row(): Row<T>;
  /** How many there are in all; null when nobody knows. */
  total(): number | null;
  /** Whether a row is to be seen. */
  passes?(item: T): boolean;
  empty: HTMLElement;
}

/** A listing by pages that grows where it stands: what is open, focused or scrolled to stays so. */
export class Listing<T> {
  readonly node: HTMLElement;
  readonly #list = make("ol", { class: "rows" });
  readonly #count = make("p", { class: "quiet count", tabindex: "-1" });
  readonly #more: HTMLButtonElement;
  readonly #rows = new Map<string, Row<T> & { item: T }>();
  /** With what the last page was asked for, and what comes behind it. */
  #last: string | null = null;
  #next: string | null = null;
  #begun = false;

  constructor(
    readonly desk: Desk,
    readonly options: ListingOptions<T>,
  ) {
    this.#more = button("Show more", () => this.#showMore());
    this.#more.hidden = true;
    options.empty.hidden = true;
    this.node = make(
      "div",
      {},
      this.#list,
      options.empty,
      make("div", { class: "more" }, this.#count, this.#more),
    );
  }

  get size(): number {
    return this.#rows.size;
  }

  /** Whether the last page is shown. */
  get whole(): boolean {
    return this.#begun && this.#next === null;
  }

  /** Fetches every page that is shown again. @throws Refusal */
  async refreshAll(): Promise<void> {
    const shown = this.size;
    let last: string | null = null;
    let page = await this.#page(null);
    const items = page.items;
    while (page.next !== null && items.length < shown) {
      last = page.next;
      page = await this.#page(last);
      items.push(...page.items);
    }
    this.#merge(items, null);
    this.#end(last, page.next);
  }

  /** Fetches what came behind the end of what is shown. @throws Refusal */
  async refreshEnd(): Promise<void> {
    if (!this.#begun) return this.refreshAll();
    if (!this.whole) return this.#tellCount();
    const { items, next } = await this.#page(this.#last);
    this.#merge(items, this.#before(items));
    this.#end(this.#last, next);
  }

  /** Shows and hides rows as `passes` says by now. */
  filter(): void {
    const { passes } = this.options;
    for (const { node, item } of this.#rows.values()) node.hidden = passes?.(item) === false;
    this.#tellCount();
  }

  async #showMore(): Promise<void> {
    const from = this.#next!;
    this.#more.disabled = true;
    try {
      const { items, next } = await this.#page(from);
      const end = this.#list.lastElementChild;
      this.#merge(items, end);
      this.#end(from, next);
      this.desk.tell(this.#count.textContent);
      if (this.whole) this.#count.focus();
    } catch (error) {
      this.desk.tell(error instanceof Error ? error.message : String(error));
    }
    this.#more.disabled = false;
  }

  #page(after: string | null): Promise<Page<T>> {
    const { path, limit } = this.options;
    const cursor = after === null ? "" : `&after=${encodeURIComponent(after)}`;
    return this.desk.get<Page<T>>(`${path}?limit=${limit}${cursor}`);
  }

  /** What stands before these items, as far as one of them is shown already. */
  #before(items: readonly T[]): Element | null {
    const first = items
      .map((item) => this.#rows.get(this.options.key(item)))
      .find((row) => row !== undefined);
    return first ? first.node.previousElementSibling : this.#list.lastElementChild;
  }

  /** Shows items, in their order, behind an element of the list: null for its beginning. */
  #merge(items: readonly T[], behind: Element | null): void {
    let previous = behind;
    for (const item of items) {
      const key = this.options.key(item);
      const known = this.#rows.get(key);
      const row = known ?? { ...this.options.row(), item };
      row.item = item;
      row.show(item);
      if (!known) {
        this.#rows.set(key, row);
        if (previous) previous.after(row.node);
        else this.#list.prepend(row.node);
      }
      row.node.hidden = this.options.passes?.(item) === false;
      previous = row.node;
    }
  }

  #end(last: string | null, next: string | null): void {
    // A page that is full names the next one, also where nothing is behind it.
    const atEnd = next !== null && this.size >= (this.options.total() ?? Number.POSITIVE_INFINITY);
    [this.#last, this.#next] = atEnd ? [next, null] : [last, next];
    this.#begun = true;
    this.#more.hidden = this.whole;
    this.options.empty.hidden = this.size > 0;
    this.#tellCount();
  }

  #tellCount(): void {
    const { noun } = this.options;
    const hidden = [...this.#rows.values()].filter(({ node }) => node.hidden).length;
    const total = this.whole ? this.size : this.options.total();
    const of = total === null || total <= this.size ? "" : ` of ${number(total)}`;
    const loaded = of === "" ? count(this.size, noun) : `${number(this.size)}${of} ${noun}s`;
    const text = hidden > 0 ? `${number(this.size - hidden)} of the ${loaded} shown here match` : loaded;
    fill(this.#count, this.size === 0 ? "" : text);
  }
}
