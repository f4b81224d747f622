import type { Problem } from "../../lib/api/problem.ts";
import { sentence } from "./browser/sentence.ts";
import { HOSTING_STYLE } from "./hosting_style.ts";
import { escapeHtml, page } from "./page.ts";

const TITLES: Record<number, string> = {
  403: "That is not allowed",
  404: "There is nothing here",
  410: "This instance is gone",
  429: "Too many requests",
  503: "Not now",
};

/** The words of a problem document for who looks at it in a browser. @param base origin of the service */
export function refusalPage({ status, detail, hint }: Problem, base: string): Response {
  const title = TITLES[status] ?? "That did not work";
  const said = [detail, ...(hint === undefined ? [] : [hint])];
  return page({
    title,
    script: "",
    style: HOSTING_STYLE,
    main: `<h1>${title}</h1>
${said.map((text) => `<p>${escapeHtml(sentence(text))}</p>`).join("\n")}
<p class="quiet"><a href="${escapeHtml(base)}/start">Start an instance</a> · <a href="${escapeHtml(base)}/instances">Your instances</a></p>`,
  })();
}
