import { expect, test } from "bun:test";
import { encode } from "uqr";
import { qrWidth, renderQr } from "../../../lib/ui/qr.ts";

const LINK = "https://myteam.syncropel.com:9100/pair#7KMP-2XQ9-T4VD";
const ESCAPES = /\x1b\[[\d;]*m/g;

/** The modules that half blocks draw, true where ink is. */
function drawn(lines: string[], size: number): boolean[][] {
  return Array.from({ length: size }, (_, row) =>
    Array.from(lines[row >> 1]!, (block) => block === "█" || block === (row % 2 === 0 ? "▀" : "▄")),
  );
}

test("every module is where the code has it, dark in ink or, without colours, light in ink", () => {
  const { data, size } = encode(LINK, { ecc: "L", border: 4 });
  expect(qrWidth(LINK)).toBe(size);
  for (const coloured of [true, false]) {
    const lines = renderQr(LINK, coloured).replaceAll(ESCAPES, "").split("\n");
    const shown = drawn(lines, size);
    expect(shown).toEqual(data.map((row) => row.map((dark) => dark === coloured)));
  }
});

test("each coloured line ends in the terminal's own colours, and without colours there are no escapes", () => {
  for (const line of renderQr(LINK, true).trimEnd().split("\n")) {
    expect(line).toStartWith("\x1b[38;5;16;48;5;231m");
    expect(line).toEndWith("\x1b[0m");
  }
  expect(renderQr(LINK, false)).not.toContain("\x1b");
});
