import { counted } from "../../../lib/base/text.ts";
import { element, fill, make } from "./dom.ts";
import type { RecordFinding, Report, ThreadFinding } from "./findings.ts";
import { sentence } from "./sentence.ts";

/** Puts what was found onto the page. Whatever comes out of the file is set as text, never as HTML. */

const WORDS = {
  verified: "✓ Verified",
  malformed: "✗ Not a good bundle",
  failed: "✗ The file could not be read",
} as const;

type End = Extract<Report, { kind: "end" }>;

/** @param encrypted whether the file is */
export function showFindings(
  name: string,
  { verdict, message, hint, findings }: End,
  encrypted: boolean,
): void {
  const good = verdict === "verified";
  const title = element("verdict");
  title.textContent = WORDS[verdict as keyof typeof WORDS];
  title.className = good ? "good" : "bad";
  element("sentence").textContent = good ? `${name} is whole, and nothing in it was changed.` : message;
  element("advice").textContent = hint === "" ? name : `${name}. ${sentence(hint)}`;
  element("advice").hidden = good;
  element("warning").hidden = encrypted || !findings.holdsKey;
  element("before").hidden = good || findings.checked.length === 0;
  fill(element("checked"), ...findings.checked.map((line) => make("li", {}, line)));
  element("said").hidden = findings.facts.length === 0;
  fill(
    element("facts"),
    ...findings.facts.flatMap(([term, value]) => [make("dt", {}, term), make("dd", {}, value)]),
  );
  element("held").hidden = findings.threads.length === 0;
  fill(element("threads"), ...findings.threads.map(threadItem));
  const { moreThreads } = findings;
  element("more").textContent = moreThreads === 0 ? "" : `and ${counted(moreThreads, "thread")} more`;
}

function threadItem({ thread, records, first }: ThreadFinding): HTMLElement {
  const summary = make("summary", {}, make("code", {}, thread), make("span", {}, counted(records, "record")));
  const details = make("details", {}, summary);
  const open = () => {
    details.append(make("ol", {}, ...first.map(recordItem)));
    const more = records - first.length;
    if (more > 0) details.append(make("p", {}, `and ${counted(more, "record")} more`));
  };
  details.addEventListener("toggle", open, { once: true });
  return make("li", {}, details);
}

function recordItem({ id, act, actor, clock, body }: RecordFinding): HTMLElement {
  return make(
    "li",
    {},
    make("p", {}, make("strong", {}, act), ` at clock ${clock} by `, make("code", {}, actor)),
    make("p", {}, make("code", {}, body)),
    make("p", {}, make("code", {}, id)),
  );
}
