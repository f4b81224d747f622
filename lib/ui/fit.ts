/**
 * Text of at most `width` columns; what does not fit ends in `…`. Emoji and ideographs take two columns, and where one
 * of them would straddle the end, Bun's own cut is a column too wide.
 */
export function fit(text: string, width: number): string {
  if (Bun.stringWidth(text) <= width) return text;
  const cut = Bun.sliceAnsi(text, 0, width, "…");
  return Bun.stringWidth(cut) <= width ? cut : Bun.sliceAnsi(text, 0, width - 1, "…");
}
