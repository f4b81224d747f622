/**
 * The offered media type that the client likes best, by the qualities of its `Accept` header (RFC 9110, section
 * 12.5.1). Where nothing fits, the first is sent all the same: an answer beats a 406.
 */
export function negotiate(accept: string | null, offered: string[]): string {
  if (accept === null) return offered[0]!;
  const ranges = accept.split(",").map(parseRange);
  let best = offered[0]!;
  let bestQuality = 0;
  for (const type of offered) {
    const quality = Math.max(0, ...ranges.filter(({ range }) => covers(range, type)).map(({ q }) => q));
    if (quality > bestQuality) [best, bestQuality] = [type, quality];
  }
  return best;
}

function parseRange(text: string): { range: string; q: number } {
  const [range = "", ...parameters] = text.split(";").map((part) => part.trim().toLowerCase());
  const weight = parameters.find((parameter) => parameter.startsWith("q="));
  const q = weight === undefined ? 1 : Number(weight.slice(2));
  return { range, q: Number.isFinite(q) ? q : 0 };
}

function covers(range: string, type: string): boolean {
  return range === "*/*" || range === type || (range.endsWith("/*") && type.startsWith(range.slice(0, -1)));
}
