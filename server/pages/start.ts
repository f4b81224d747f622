import type { HostingSettings } from "../../lib/hosting/hosting.ts";
import { instanceUrl } from "../../lib/hosting/hosting.ts";
import { MAX_LABEL_LENGTH, MIN_LABEL } from "../../lib/hosting/labels.ts";
import type { Plan } from "../../lib/hosting/types.ts";
import { browserBundle } from "./bundle.ts" with { type: "macro" };
import { HOSTING_STYLE } from "./hosting_style.ts";
import { escapeHtml, page } from "./page.ts";

const SCRIPT = browserBundle("server/pages/browser/start.ts");

/** The page where an instance begins. */
export function startPage(settings: HostingSettings): () => Response {
  const [before, after] = instanceUrl(settings, "LABEL").split("LABEL") as [string, string];
  const invitation =
    settings.signup === "invite"
      ? `<label for="invitation">Invitation</label>
<input id="invitation" name="invitation" required autocomplete="off" autocapitalize="none" spellcheck="false">`
      : "";
  const closed = settings.signup === "closed";
  return page({
    title: "Start an instance",
    script: SCRIPT,
    style: HOSTING_STYLE,
    main: `<h1>Start an instance</h1>
<p>An instance of <code>spl</code> of your own, on this service. You can take it away at any time, whole: its
records, its identity, its address.</p>
${withoutScript(settings)}
${closed ? `<p class="notice">This service takes no new instances at the moment. Ask who runs it.</p>` : ""}
<form id="form"${closed ? " hidden" : ""} novalidate>
<label for="label">Label</label>
<div class="joined" id="joined"><span class="quiet">${escapeHtml(before)}</span><input id="label" name="label" required minlength="${MIN_LABEL}"
 maxlength="${MAX_LABEL_LENGTH}" placeholder="myteam" autocomplete="off" autocapitalize="none" autocorrect="off"
 spellcheck="false" aria-describedby="label-rule label-status"><span class="quiet">${escapeHtml(after)}</span></div>
<p class="quiet tight" id="label-rule">${MIN_LABEL} to ${MAX_LABEL_LENGTH} of a-z, 0-9 and hyphens. It is yours for ever and given to nobody else.</p>
<p class="status tight" id="label-status" role="status" aria-live="polite"></p>
<fieldset><legend>Plan</legend>
${settings.plans.map(planChoice).join("\n")}
</fieldset>
${invitation}
<button id="begin" type="submit">Start it</button>
</form>
<section id="progress" hidden aria-labelledby="progress-title">
<h2 id="progress-title" tabindex="-1">Making <span id="name"></span></h2>
<ol class="phases" id="phases"></ol>
</section>
<section id="failed" hidden aria-labelledby="failed-title">
<h2 id="failed-title" tabindex="-1" class="bad">It did not work</h2>
<p id="failure"></p>
<p class="quiet" id="rest" role="status" aria-live="polite"></p>
<button id="again" type="button">Try again</button>
</section>
<p id="status" class="status" role="status" aria-live="polite"></p>
<p class="quiet"><a href="/instances">Your instances</a></p>`,
  });
}

function withoutScript({ signup, base }: HostingSettings): string {
  if (signup === "closed") return "";
  const wish = signup === "invite" ? '{"label":"myteam","invitation":"…"}' : '{"label":"myteam"}';
  return `<noscript><p>This page needs JavaScript. With a terminal: <code>curl -H 'content-type: application/json'
-d '${wish}' ${escapeHtml(base)}/v1/provision</code></p></noscript>`;
}

function planChoice({ name, cpus, memory_mb, disk_gb }: Plan, at: number): string {
  const shown = escapeHtml(name);
  const facts = `${cpus} CPU${cpus === 1 ? "" : "s"}, ${memory_mb} MB memory, ${disk_gb} GB disk`;
  return `<label class="choice"><input type="radio" name="plan" value="${shown}"${at === 0 ? " checked" : ""}>
<span><strong>${shown}</strong> <span class="quiet">${facts}</span></span></label>`;
}
