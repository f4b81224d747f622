/** Lines of an instance's log, as they are written and as they are read again. */

export type Facts = Record<string, string | number | boolean | null>;

export type LogFormat = "text" | "json";

/** One line of a log. What is no event, as what a runtime wrote to standard error, is `output` with its `text`. */
export interface LogLine {
  /** ISO 8601, UTC, milliseconds; null where the line does not say. */
  time: string | null;
  event: string;
  facts: Facts;
}

/** A token, wherever a client has put it: what is logged is read by more people than may use it. */
const TOKEN = /spl_[a-z]+_[a-z0-9-]+_[A-Za-z0-9_-]{16,}/g;
const TEXT_LINE =
  /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) ([a-z][a-z-]*)((?: \w+=(?:"(?:[^"\\]|\\.)*"|[^\s"]*))*)$/;
const FACT = / (\w+)=("(?:[^"\\]|\\.)*"|[^\s"]*)/g;

/** `<event> name=value …` in printable ASCII, so that no value can forge a line or steer a terminal. */
export function eventText(event: string, facts: Facts): string {
  return [event, ...Object.entries(facts).map(([name, value]) => `${name}=${textValue(value)}`)].join(" ");
}

/** One event as a line, without its line feed; printable ASCII in either format. */
export function logLine(format: LogFormat, time: string, event: string, facts: Facts): string {
  if (format === "text") return `${time} ${eventText(event, facts)}`;
  const masked = Object.entries(facts).map(([name, value]) => [
    name,
    typeof value === "string" ? mask(value) : value,
  ]);
  return ascii(JSON.stringify({ time, event, ...Object.fromEntries(masked) }));
}

/** Reads a line of either format; whatever it holds, it is some line. */
export function parseLogLine(line: string): LogLine {
  return (
    parseJsonLine(line) ?? parseTextLine(line) ?? { time: null, event: "output", facts: { text: mask(line) } }
  );
}

function parseTextLine(line: string): LogLine | null {
  const [, time, event, rest] = TEXT_LINE.exec(line) ?? [];
  if (time === undefined || event === undefined) return null;
  try {
    const facts = [...(rest ?? "").matchAll(FACT)].map(([, name, value]) => [name, factOf(value!)]);
    return { time, event, facts: Object.fromEntries(facts) };
  } catch {
    return null;
  }
}

function parseJsonLine(line: string): LogLine | null {
  if (!line.startsWith('{"time":')) return null;
  try {
    const { time, event, ...facts } = JSON.parse(line) as { time: unknown; event: unknown } & Facts;
    if (typeof time !== "string" || typeof event !== "string" || Number.isNaN(Date.parse(time))) return null;
    return { time, event, facts };
  } catch {
    return null;
  }
}

function factOf(value: string): string | number | boolean | null {
  if (value.startsWith('"')) return JSON.parse(value) as string;
  if (value === "true" || value === "false") return value === "true";
  if (value === "null") return null;
  return /^-?\d{1,15}(?:\.\d{1,9})?$/.test(value) ? Number(value) : value;
}

function textValue(raw: string | number | boolean | null): string {
  if (typeof raw !== "string") return String(raw);
  const value = mask(raw);
  return /^[\w./:@%+-]+$/.test(value) ? value : ascii(JSON.stringify(value));
}

function mask(value: string): string {
  return value.replace(TOKEN, "spl_***");
}

function ascii(json: string): string {
  return json.replace(/[^ -~]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
