import { expect, test } from "bun:test";
import { systemRandom } from "../../../lib/base/random.ts";
import { codeId, makeCode, pairingLink, readCode, readPairing } from "../../../lib/pairing/code.ts";

const CODE = "7KMP-2XQ9-T4VD";

test("a code is made of sixty random bits, each character as likely as any other", () => {
  expect(makeCode(() => Uint8Array.of(0, 1, 9, 10, 18, 20, 31, 32, 63, 255, 128, 5))).toBe("019A-JMZ0-ZZ05");
  const counts = new Map<string, number>();
  for (let n = 0; n < 2000; n++)
    for (const char of makeCode(systemRandom)) counts.set(char, (counts.get(char) ?? 0) + 1);
  expect(counts.delete("-")).toBe(true);
  expect([...counts.keys()].sort().join("")).toBe("0123456789ABCDEFGHJKMNPQRSTVWXYZ");
  for (const count of counts.values()) expect(Math.abs(count - 750)).toBeLessThan(200);
});

test("typed codes are read as people type them", () => {
  for (const typed of [
    CODE,
    "7kmp2xq9t4vd",
    " 7KMP 2XQ9 T4VD\n",
    "7km-p2x-q9t-4vd",
    "7KMP–2XQ9—T4VD",
    "7\u00a0K M P2XQ9T4VD",
  ]) {
    expect({ typed, read: readCode(typed) }).toEqual({ typed, read: CODE });
  }
  expect(readCode("oOiI-lLoO-1100")).toBe("0011-1100-1100");
});

test("what is no code is none", () => {
  for (const typed of ["", "7KMP", "7KMP-2XQ9-T4V", `${CODE}0`, "7KMP-2XQ9-T4VU", "7KMP-2XQ9-T4V%", "…"])
    expect({ typed, read: readCode(typed) }).toEqual({ typed, read: null });
});

test("the first four characters name the pairing", () => expect(codeId(CODE)).toBe("7KMP"));

test("a link is read back, with whatever is before the page's path", () => {
  for (const baseUrl of ["http://127.0.0.1:9100", "https://host.example/i/team", "https://[::1]:9100"]) {
    expect(readPairing(` ${pairingLink(baseUrl, CODE)}\n`)).toEqual({ baseUrl, code: CODE });
  }
  expect(readPairing("7kmp2xq9t4vd")).toEqual({ baseUrl: null, code: CODE });
  for (const text of [
    "https://host.example/pair",
    `https://host.example/other#${CODE}`,
    `https://host.example/pair?x=1#${CODE}`,
    `ftp://host.example/pair#${CODE}`,
    `javascript:alert(1)//pair#${CODE}`,
    "https://host.example/pair#7KMP",
  ]) {
    expect({ text, read: readPairing(text) }).toEqual({ text, read: null });
  }
});
