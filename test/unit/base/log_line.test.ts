import { expect, test } from "bun:test";
import { logLine, parseLogLine } from "../../../lib/base/log_line.ts";

const TIME = "2026-01-31T12:00:00.000Z";
const FACTS = { path: "/v1/a", odd: 'a "b"\\ \n\u202e=c', n: 7, yes: true, none: null };

test("what is written in either format is read again as it was", () => {
  for (const format of ["text", "json"] as const) {
    const line = logLine(format, TIME, "request", FACTS);
    expect(line).toMatch(/^[ -~]+$/);
    expect(parseLogLine(line)).toEqual({ time: TIME, event: "request", facts: FACTS });
  }
});

test("a token is in neither format, nor in what was written past them", () => {
  const token = `spl_live_ci_${"A".repeat(43)}`;
  for (const format of ["text", "json"] as const)
    expect(logLine(format, TIME, "x", { a: `Bearer ${token}` })).not.toContain(token);
  expect(parseLogLine(`panic: ${token}`).facts.text).toBe("panic: spl_***");
});

test("what is no event is told as output, whatever it is", () => {
  for (const line of [
    "error: x",
    '{"time":"never","event":"a"}',
    '{"time":',
    `${TIME} a b="\\x"`,
    `${TIME} `,
    "",
  ])
    expect(parseLogLine(line)).toEqual({ time: null, event: "output", facts: { text: line } });
});
