import { browserBundle } from "./bundle.ts" with { type: "macro" };
import { page } from "./page.ts";

/** The page that verifies a bundle where it is: the file never leaves the browser, and no script there could send it. */
export const bundlePage = page({
  title: "Verify a bundle",
  script: browserBundle("server/pages/browser/bundle.ts"),
  policy: { "connect-src": "'none'", "worker-src": "'self'" },
  style: `
main { max-width: 44rem; }
h3 { margin: 1.5rem 0 0.5rem; font-size: 1rem; line-height: 1.25; }
.drop {
  padding: 1.25rem; border: 2px dashed var(--quiet); border-radius: 0.5rem; background: var(--back); text-align: center;
}
.drop p { margin: 0; }
.status { margin: 0 0 1rem; }
.drop button { max-width: 20rem; }
.over .drop { border-color: var(--act); border-style: solid; }
#secret { letter-spacing: normal; text-transform: none; font-size: 1rem; }
section, form { margin: 1rem 0; overflow-wrap: anywhere; }
progress { width: 100%; height: 0.75rem; accent-color: var(--act); }
#elsewhere { margin-top: 0.75rem; }
.bad { color: var(--wrong); }
.warning { padding: 0.75rem; border: 1px solid var(--wrong); border-radius: 0.5rem; color: var(--wrong); }
ul, ol { margin: 0 0 1rem; padding: 0; list-style: none; }
#checked { padding-left: 1.25rem; list-style: disc; }
#threads > li { border-top: 1px solid var(--line); }
summary { display: flex; gap: 0.25rem 1rem; justify-content: space-between; padding: 0.75rem 0; cursor: pointer; }
summary code { min-width: 0; }
summary span { flex: none; color: var(--quiet); }
summary::before { content: "▸"; flex: none; color: var(--quiet); }
summary code { flex: 1; }
details[open] > summary::before { content: "▾"; }
details li { padding: 0.5rem 0 0.5rem 0.75rem; border-left: 3px solid var(--line); }
details li + li { margin-top: 0.5rem; }
details p { margin: 0; }
@media (max-width: 30rem) {
  main { padding: 1rem; }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: 0.5rem; }
}`,
  main: `<h1>Verify a bundle</h1>
<p>What <code>spl export</code> wrote is checked here, from its first byte to its last. It stays in this browser: nothing is uploaded.</p>
<noscript><p>This page needs JavaScript. In a terminal, use <code>spl verify FILE</code>.</p></noscript>
<p id="status" class="status" role="status" aria-live="polite"></p>
<section id="work" hidden aria-label="Progress">
<progress id="bar" max="1" value="0" aria-label="Bytes read"></progress>
<p id="amount" class="quiet"></p>
<button id="cancel" type="button" class="plain">Cancel</button>
</section>
<form id="unlock" hidden>
<h2>The bundle is encrypted</h2>
<label for="secret">Passphrase, or the line <code>AGE-SECRET-KEY-…</code> of the key file</label>
<input id="secret" type="password" required autocomplete="off" spellcheck="false" aria-describedby="status elsewhere">
<button type="submit">Decrypt it here</button>
<p id="elsewhere" class="quiet">To keep the key out of browsers, in a terminal: <code id="command"></code></p>
</form>
<section id="result" hidden aria-labelledby="verdict">
<h2 id="verdict" tabindex="-1"></h2>
<p id="sentence"></p>
<p id="advice" class="quiet"></p>
<p id="warning" class="warning" hidden>This file holds the private key in the clear: whoever has it can act as this instance. Keep it like a password.</p>
</section>
<div id="drop" class="drop" hidden>
<p>Drop a file here: <code>.tar.zst</code>, <code>.tar.gz</code>, <code>.tar</code>, or any of them with <code>.age</code></p>
<button id="choose" type="button">Choose a file</button>
<input id="file" type="file" hidden>
</div>
<section id="details" hidden aria-label="What the bundle holds">
<div id="before">
<h3>Right up to there</h3>
<ul id="checked"></ul>
</div>
<div id="said">
<h3>What is in it</h3>
<dl id="facts"></dl>
</div>
<div id="held">
<h3 id="threads-title">Threads</h3>
<ul id="threads" aria-labelledby="threads-title"></ul>
<p id="more" class="quiet"></p>
</div>
</section>`,
});
