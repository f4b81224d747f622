import { utf8 } from "../../lib/base/bytes.ts";
import { nobleSha256 } from "../../lib/base/sha256.noble.ts";
import { STYLE } from "./style.ts";

export interface PageParts {
  title: string;
  /** HTML of the main part; what comes from elsewhere has been through `escapeHtml`. */
  main: string;
  /** HTML that stands before the main part: a header, a navigation. */
  before?: string;
  /** A browser module, as `browserBundle` returns it. */
  script: string;
  /** CSS of this page alone. */
  style?: string;
  /** Directives of the page's policy (CSP level 3) that differ from the usual ones. */
  policy?: Partial<Record<"connect-src" | "worker-src" | "form-action", string>>;
}

/** Text as it may stand between tags and in quoted attributes (HTML, section 13.1). */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

/** A whole HTML page that loads nothing: style and script stand in it, and no other may run (CSP level 3). */
export function page({
  title,
  main,
  script,
  before = "",
  style = "",
  policy = {},
}: PageParts): () => Response {
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
  const directives = {
    "default-src": "'none'",
    "script-src": hashSource(code),
    "style-src": hashSource(css),
    "connect-src": "'self'",
    "img-src": "data:",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    ...policy,
  };
  const headers = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": Object.entries(directives)
      .map((directive) => directive.join(" "))
      .join("; "),
    "referrer-policy": "no-referrer",
    // For browsers that do not know `frame-ancestors`.
    "x-frame-options": "DENY",
  };
  return () => new Response(html, { headers });
}

function hashSource(text: string): string {
  return `'sha256-${nobleSha256.hash(utf8(text)).toBase64()}'`;
}
