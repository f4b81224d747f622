import { browserBundle } from "./bundle.ts" with { type: "macro" };
import { page } from "./page.ts";

/** The page on which a browser redeems a code. To look at it changes nothing: link previews do that too. */
export const pairPage = page({
  title: "Pair this device",
  script: browserBundle("server/pages/browser/pair.ts"),
  main: `<h1>Pair this device</h1>
<noscript><p>This page needs JavaScript. On a machine with a terminal, use <code>spl pair --accept</code>.</p></noscript>
<form id="form" hidden>
<p id="lead">Type the code that <code>spl pair</code> shows on the other device.</p>
<label for="code">Code</label>
<input id="code" name="code" required maxlength="2100" placeholder="XXXX-XXXX-XXXX" autocomplete="off"
 autocapitalize="characters" autocorrect="off" spellcheck="false" aria-describedby="status">
<button id="redeem" type="submit">Pair this browser</button>
</form>
<section id="done" hidden aria-labelledby="done-title">
<h2 id="done-title" tabindex="-1" class="good">✓ Paired</h2>
<p>The screen that made the code must show the same words. If they differ, end the pairing at once.</p>
<p class="phrase" id="phrase"></p>
</section>
<section id="already" hidden aria-labelledby="already-title">
<h2 id="already-title" tabindex="-1">This browser is paired already</h2>
<p>No code was used.</p>
</section>
<section id="facts" hidden aria-label="This pairing">
<dl>
<dt>Device</dt><dd id="device"></dd>
<dt>Scopes</dt><dd id="scopes"></dd>
<dt>Instance</dt><dd><code id="instance"></code></dd>
</dl>
<p><a href=".">Open the console</a></p>
<p class="quiet">To end the pairing, run <code id="revoke"></code>.</p>
<button id="forget" type="button" class="plain">Forget it in this browser</button>
</section>
<p id="status" class="status" role="status" aria-live="polite"></p>`,
});
