import { browserBundle } from "./bundle.ts" with { type: "macro" };
import { CONSOLE_STYLE } from "./console_style.ts";
import { page } from "./page.ts";

/** The page that shows an instance to a browser that was let in. It holds nothing of the instance itself. */
export const consolePage = page({
  title: "spl",
  script: browserBundle("server/pages/browser/console.ts"),
  style: CONSOLE_STYLE,
  before: `<a id="skip" class="skip" href="#main">Skip to the content</a>
<header>
<p class="brand">spl</p>
<p id="who" class="who"></p>
<p id="state"></p>
<p id="live" class="live" role="status" hidden></p>
</header>
<nav id="nav" aria-label="Console" hidden>
<ul>
<li><a href="#/">Overview</a></li>
<li><a href="#/threads">Threads <span id="threads-count" class="number"></span></a></li>
<li><a href="#/pairs">Pairs</a></li>
<li><a href="#/devices">Devices</a></li>
<li><a href="#/backups">Backups</a></li>
</ul>
</nav>`,
  main: `<p id="banner" class="notice" role="alert" hidden></p>
<h1 id="heading" tabindex="-1">spl</h1>
<noscript><p>The console needs JavaScript. On a machine with a terminal, use <code>spl status</code>.</p></noscript>
<p id="problem" class="notice" role="alert" hidden></p>
<div id="view"></div>
<p id="told" class="unseen" role="status"></p>`,
});
