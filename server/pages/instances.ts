import { browserBundle } from "./bundle.ts" with { type: "macro" };
import { HOSTING_STYLE } from "./hosting_style.ts";
import { page } from "./page.ts";

/** What an owner has here, and the way out. It holds no data: the session's API gives it. */
export const instancesPage = page({
  title: "Your instances",
  script: browserBundle("server/pages/browser/instances.ts"),
  style: HOSTING_STYLE,
  main: `<h1>Your instances</h1>
<noscript><p>This page needs JavaScript.</p></noscript>
<p id="none" hidden>This browser has none. <a href="/start">Start an instance</a>, or
<a href="/recover">sign in with your recovery code</a>.</p>
<div id="list"></div>
<p id="status" class="status" role="status" aria-live="polite"></p>
<p class="quiet"><a href="/start">Start an instance</a></p>
<div id="own" class="actions" hidden>
<button id="new-code" type="button" class="plain">New recovery code</button>
<button id="sign-out" type="button" class="plain">Sign out of this browser</button>
</div>
<div id="code"></div>
<dialog id="end" aria-labelledby="end-title">
<form method="dialog">
<h2 id="end-title"></h2>
<p id="end-text"></p>
<label class="choice"><input type="checkbox" id="end-sure"><span id="end-label"></span></label>
<button id="end-do" type="button" disabled>End it here</button>
<button type="submit" class="plain">Keep it</button>
<p id="end-status" class="status" role="status" aria-live="polite"></p>
</form>
</dialog>`,
});
