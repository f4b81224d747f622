import { counted } from "../../../../lib/base/text.ts";
import { command, make } from "../dom.ts";

const NUMBER = new Intl.NumberFormat("en");

export function number(n: number): string {
  return NUMBER.format(n);
}

/** `1 record`, `1,000 records`. */
export function count(n: number, noun: string): string {
  return counted(n, noun).replace(/^\d+/, number(n));
}

/** An instance's DID by its name and both ends of its fingerprint; of another that is long, both ends. */
export function shortDid(did: string): string {
  const [, name, hash] = /^did:sync:instance:(.{1,40})-([0-9a-f]{40})$/.exec(did) ?? [];
  if (hash !== undefined) return `${name}-${hash.slice(0, 6)}…${hash.slice(-4)}`;
  return did.length <= 44 ? did : `${did.slice(0, 30)}…${did.slice(-10)}`;
}

export function shortId(id: string): string {
  return id.slice(0, 10);
}

/** Minutes and more: `3 h 20 min`. */
export function duration(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  const [days, hours] = [Math.floor(minutes / 1440), Math.floor(minutes / 60) % 24];
  if (days > 0) return `${count(days, "day")} ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes % 60} min`;
  return minutes > 0 ? `${minutes} min` : "less than a minute";
}

/** A time of this browser's zone, to the minute; what is no time stays the text that it is. */
export function moment(iso: string): HTMLElement {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return make("span", {}, iso);
  const two = (n: number) => String(n).padStart(2, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return make("time", { datetime: at.toISOString() }, `${day} ${two(at.getHours())}:${two(at.getMinutes())}`);
}

/** @param tone how it stands out: `good`, `wrong`, or nothing */
export function chip(text: string, tone = ""): HTMLElement {
  return make("span", { class: `chip ${tone}`.trim() }, text);
}

/** A link to an address that someone else wrote: only where it leads to the web. */
export function outside(url: string): HTMLElement {
  if (!/^https?:\/\//i.test(url) || !URL.canParse(url)) return make("code", {}, url);
  return make("a", { href: url, rel: "noreferrer noopener" }, url);
}

/** What stands where there is nothing yet, with the command that changes that. */
export function empty(text: string, typed: string | null = null): HTMLElement {
  return make("p", { class: "empty" }, text, typed === null ? null : command(typed));
}
