import { encode } from "uqr";

/** Light modules around the code that scanners need (ISO/IEC 18004, section 9.1: four). */
const QUIET = 4;
/** Black on white by the 256-colour palette's fixed colours: the first sixteen are the theme's. */
const INK = "\x1b[38;5;16;48;5;231m";
const PLAIN = "\x1b[0m";

/**
 * A QR code for a terminal, two modules a character, each line ended by a line feed.
 * @param coloured black on white whatever the terminal's colours are; else light modules are drawn, as it fits a dark
 * terminal (on a light one it is reversed, which most phones read)
 */
export function renderQr(text: string, coloured: boolean): string {
  const { data, size } = encode(text, { ecc: "L", border: QUIET });
  const dark = (row: number, column: number) => data[row]?.[column] ?? false;
  let lines = "";
  for (let row = 0; row < size; row += 2) {
    let line = "";
    for (let column = 0; column < size; column++) {
      line += half(dark(row, column) === coloured, row + 1 < size && dark(row + 1, column) === coloured);
    }
    lines += coloured ? `${INK}${line}${PLAIN}\n` : `${line}\n`;
  }
  return lines;
}

/** Columns that `renderQr` takes. */
export function qrWidth(text: string): number {
  return encode(text, { ecc: "L", border: QUIET }).size;
}

function half(upper: boolean, lower: boolean): string {
  if (upper) return lower ? "█" : "▀";
  return lower ? "▄" : " ";
}
