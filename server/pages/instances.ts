import { browserBundle } from "./bundle.ts" with { type: "macro" };
import { HOSTING_STYLE } from "./hosting_style.ts";
import { page } from "./page.ts";

/** What an owner has here, and the way out. It holds no data: the session's API gives it. */
export const instancesPage = page({
  title: "Your instances",
  script: browserBundle("server/pages/browser/instances.ts"),
  // So that a button's words stay in one line.
  style: `${HOSTING_STYLE}main { max-width: 40rem; }`,
  policy: { "worker-src": "'self'" },
  main: `<h1>Your instances</h1>
<noscript><p>This page needs JavaScript.</p></noscript>
<p id="none" hidden>This browser has none. <a href="/start">Start an instance</a>, or
<a href="/recover">sign in with your recovery code</a>.</p>
<div id="list"></div>
<p class="quiet"><a href="/start">Start an instance</a></p>
<div id="own" class="actions" hidden>
<button id="new-code" type="button" class="plain">New recovery code</button>
<button id="sign-out" type="button" class="plain">Sign out of this browser</button>
</div>
<p id="status" class="status" role="status" aria-live="polite"></p>
<section id="recovery" hidden aria-labelledby="recovery-title">
<h2 id="recovery-title">Your recovery code</h2>
<div id="code"></div>
<p id="code-status" class="status" role="status" aria-live="polite"></p>
</section>
<dialog id="end" aria-labelledby="end-title">
<form method="dialog">
<h2 id="end-title"></h2>
<p id="end-text"></p>
<fieldset id="end-fields"><legend>The bundle</legend>
<label class="choice"><input type="radio" name="end-how" id="end-having" checked>
<span>I have downloaded it since the last change, and show the file</span></label>
<div id="end-with">
<input id="end-file" type="file" hidden>
<button id="end-choose" type="button" class="plain" aria-describedby="end-note">Choose the downloaded file…</button>
<p id="end-note" class="quiet">It is read in this browser and not uploaded. If the instance holds anything newer, nothing happens.</p>
</div>
<label class="choice"><input type="radio" name="end-how" id="end-without">
<span>I do not want a bundle: everything is lost, its identity too</span></label>
</fieldset>
<p id="end-status" class="status" role="status" aria-live="polite"></p>
<button id="end-do" type="button" disabled>End it here</button>
<button id="end-keep" type="submit" class="plain">Keep it</button>
</form>
</dialog>`,
});
