/**
 * What a terminal might obey, or a reader be deceived by: C0, DEL and C1 controls, bidirectional marks, embeddings and
 * isolates (Unicode UAX 9), line and paragraph separators, interlinear annotation, the byte order mark, and
 * surrogates without their other half.
 */
const UNSAFE =
  /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

const NAMED: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** Stored text for one line: each unsafe character becomes a visible `\n`, `\x1b` or `\u202e`. */
export function safeText(text: string): string {
  return text.replace(UNSAFE, visible);
}

/** Stored text that may span lines: as `safeText`, but line feeds and tabs stay. */
export function safeLines(text: string): string {
  return text.replace(UNSAFE, (char) => (char === "\n" || char === "\t" ? char : visible(char)));
}

/** JSON text that is free of unsafe characters and parses to the same value. The input is one line of JSON. */
export function safeJson(json: string): string {
  return json.replace(UNSAFE, (char) => `\\u${hex(char, 4)}`);
}

function visible(char: string): string {
  const named = NAMED[char];
  if (named !== undefined) return named;
  return char.charCodeAt(0) < 0x100 ? `\\x${hex(char, 2)}` : `\\u${hex(char, 4)}`;
}

function hex(char: string, digits: number): string {
  return char.charCodeAt(0).toString(16).padStart(digits, "0");
}
