import { expect, test } from "bun:test";
import { fit } from "../../../lib/ui/fit.ts";

test("what fits stays, what does not is cut to the width", () => {
  expect(fit("abcde", 5)).toBe("abcde");
  expect(fit("abcdef", 5)).toBe("abcd…");
  expect(fit("", 5)).toBe("");
});

test("a character of two columns is never cut in half, nor does it make the line too wide", () => {
  for (const text of [
    "漢".repeat(60),
    `a${"漢".repeat(60)}`,
    "❤️ 💔 ".repeat(30),
    "ｂｒｏｗｎ fox".repeat(9),
  ]) {
    for (let width = 2; width < 50; width++) {
      const cut = fit(text, width);
      expect(Bun.stringWidth(cut)).toBeWithin(width - 2, width + 1);
      expect(cut).toEndWith("…");
    }
  }
});
