import { counted } from "../../../lib/base/text.ts";
import { element, made } from "./element.ts";
import type { RecordFinding, Report, ThreadFinding } from "./findings.ts";

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
  element("checked").replaceChildren(...findings.checked.map((line) => made("li", line)));
  element("said").hidden = findings.facts.length === 0;
  element("facts").replaceChildren(
    ...findings.facts.flatMap(([term, value]) => [made("dt", term), made("dd", value)]),
  );
  element("held").hidden = findings.threads.length === 0;
  element("threads").replaceChildren(...findings.threads.map(threadItem));
  const { moreThreads } = findings;
  element("more").textContent = moreThreads === 0 ? "" : `and ${counted(moreThreads, "thread")} more`;
}

export function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

function threadItem({ thread, records, first }: ThreadFinding): HTMLElement {
  const summary = made("summary", made("code", thread), made("span", counted(records, "record")));
  const details = made("details", summary);
  const open = () => {
    details.append(made("ol", ...first.map(recordItem)));
    const more = records - first.length;
    if (more > 0) details.append(made("p", `and ${counted(more, "record")} more`));
  };
  details.addEventListener("toggle", open, { once: true });
  return made("li", details);
}

function recordItem({ id, act, actor, clock, body }: RecordFinding): HTMLElement {
  return made(
    "li",
    made("p", made("strong", act), ` at clock ${clock} by `, made("code", actor)),
    made("p", made("code", body)),
    made("p", made("code", id)),
  );
}
