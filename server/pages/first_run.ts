import { browserBundle } from "./bundle.ts" with { type: "macro" };
import { HOSTING_STYLE } from "./hosting_style.ts";
import { escapeHtml, page } from "./page.ts";

const SCRIPT = browserBundle("server/pages/browser/first_run.ts");

/** What the one-shot link shows (spec, section 10), by how far things are. */
export type FirstRunState =
  | { kind: "sealed"; url: string }
  | { kind: "revealed"; url: string; token: string; recoveryCode: string | null }
  | { kind: "used"; url: string; at: string; expired: boolean; owner: string | null }
  | { kind: "void"; url: string; owner: string | null }
  | { kind: "waiting"; url: string; state: string };

/** @param owner id of the instance, for the session of its owner */
export function firstRunPage(state: FirstRunState): Response {
  return page({
    title: "Your instance",
    script: SCRIPT,
    style: HOSTING_STYLE,
    policy: { "form-action": "'self'" },
    main: mainOf(state),
  })();
}

function mainOf(state: FirstRunState): string {
  const url = escapeHtml(state.url);
  switch (state.kind) {
    case "sealed":
      return `<h1>Your instance is ready</h1>
<dl><dt>URL</dt><dd><code>${url}</code></dd></dl>
<p>One step is left: a <strong>bootstrap token</strong> signs your command line in. It is made when you press the button,
shown once, good for one hour and one use.</p>
<form method="post"><button type="submit">Show the bootstrap token</button></form>`;
    case "revealed":
      return `<h1>Connect the CLI</h1>
<p>This page is the only place where the token is shown. Copy what you need now.</p>
${copyable("Hosted URL", "url", state.url)}
${copyable("Bootstrap token", "token", state.token)}
${
  state.recoveryCode === null
    ? ""
    : `${copyable("Recovery code", "recovery", state.recoveryCode)}
<p class="quiet">Write the recovery code down: it lets you manage your instances here when this browser is gone.</p>`
}
<h2>Three commands</h2>
${copyable("1. Where it is", "command-1", `export SPL_SERVE_URL=${state.url}`, "h3")}
${copyable("2. Sign in", "command-2", `spl token save ${state.token}`, "h3")}
${copyable("3. Look at it", "command-3", "spl status", "h3")}
<p>To bring what you have: <code>spl import FILE</code> takes a bundle of <code>spl export</code>, and the instance is you.</p>
<p class="quiet"><a href="/instances">Your instances</a></p>
<p id="status" class="status" role="status" aria-live="polite"></p>`;
    case "used":
      return `<h1>The token was shown</h1>
<dl><dt>URL</dt><dd><code>${url}</code></dd><dt>Shown</dt><dd><time datetime="${state.at}">${state.at}</time></dd></dl>
<p>The bootstrap token of this link was shown at that time. ${
        state.expired ? "It worked once, within an hour of that." : "It works once, within an hour of that."
      }</p>
${again(state.owner)}`;
    case "void":
      return `<h1>This link is void</h1>
<dl><dt>URL</dt><dd><code>${url}</code></dd></dl>
<p>A newer link has taken its place.</p>
${again(state.owner)}`;
    case "waiting":
      return `<h1>Your instance</h1>
<dl><dt>URL</dt><dd><code>${url}</code></dd><dt>State</dt><dd>${escapeHtml(state.state)}</dd></dl>
<p>There is no token to show while it is not ready.</p>
<p class="quiet"><a href="/instances">Your instances</a></p>`;
  }
}

/** For the owner a new link, for others the way to become the owner again. */
function again(owner: string | null): string {
  if (owner === null) {
    return `<p>If that was not you, or the token was lost: <a href="/recover">sign in with your recovery code</a>, then
regenerate the bootstrap token here.</p>`;
  }
  return `<button id="regenerate" type="button" data-instance="${escapeHtml(owner)}">Regenerate bootstrap token</button>
<p class="quiet">The token before it is void then, unless it was used.</p>
<p>A recovery code that was lost with it can be made anew among <a href="/instances">your instances</a>.</p>
<p id="status" class="status" role="status" aria-live="polite"></p>`;
}

function copyable(title: string, id: string, text: string, level: "h2" | "h3" = "h2"): string {
  return `<div class="copyable"><${level} id="${id}-title">${escapeHtml(title)}</${level}>
<div><code id="${id}">${escapeHtml(text)}</code>
<button type="button" class="plain" data-copy="${id}" aria-describedby="${id}-title">Copy</button></div></div>`;
}
