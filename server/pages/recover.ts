import { browserBundle } from "./bundle.ts" with { type: "macro" };
import { HOSTING_STYLE } from "./hosting_style.ts";
import { page } from "./page.ts";

/** Signs an owner in with a recovery code. */
export const recoverPage = page({
  title: "Sign in",
  script: browserBundle("server/pages/browser/recover.ts"),
  style: HOSTING_STYLE,
  main: `<h1>Sign in</h1>
<noscript><p>This page needs JavaScript.</p></noscript>
<form id="form">
<p>The recovery code was shown with your first bootstrap token, or made later among your instances.</p>
<label for="code">Recovery code</label>
<input id="code" name="code" required maxlength="200" autocomplete="off" autocapitalize="none" autocorrect="off"
 spellcheck="false" aria-describedby="status">
<button id="go" type="submit">Sign in</button>
</form>
<p id="status" class="status" role="status" aria-live="polite"></p>
<p class="quiet"><a href="/instances">Your instances</a> · <a href="/start">Start an instance</a></p>`,
});
