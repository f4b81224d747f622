import { utf8 } from "../../lib/base/bytes.ts";
import { sha256 } from "../../lib/base/sha256.ts";
import { STYLE } from "./style.ts";

export interface PageParts {
  title: string;
  /** HTML of the main part; nothing in it comes from a request. */
  main: string;
  /** HTML that stands before the main part: a header, a navigation. */
  before?: string;
  /** Beside the style that every page has. */
  style?: string;
  /** A browser module, as `browserBundle` returns it. */
  script: string;
}

/** A whole HTML page that loads nothing: style and script stand in it, and no other may run (CSP level 3). */
export function page({ title, main, script, before = "", style = "" }: PageParts): () => Response {
  // What would end the element early may only stand in a string, where the escape means the same.
  const code = script.replaceAll("</script", "<\\/script");
  const css = STYLE + style;
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<link rel="icon" href="data:,">
<style>${css}</style>
</head>
<body>
${before}
<main id="main">
${main}
</main>
<script type="module">${code}</script>
</body>
</html>
`;
  const policy = [
    "default-src 'none'",
    `script-src ${hashSource(code)}`,
    `style-src ${hashSource(css)}`,
    "connect-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
  const headers = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": policy,
    "referrer-policy": "no-referrer",
    // For browsers that do not know `frame-ancestors`.
    "x-frame-options": "DENY",
  };
  return () => new Response(html, { headers });
}

function hashSource(text: string): string {
  return `'sha256-${sha256.hash(utf8(text)).toBase64()}'`;
}
