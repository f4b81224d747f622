import { utf8 } from "../base/bytes.ts";
import { SplError } from "../base/errors.ts";

const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const INTEGER = /^-?[0-9]+$/;
const WORDS = ["true", "false", "null"];

/** `at` counts UTF-16 code units of `text`; the message counts bytes. */
export function invalidJson(what: string, text: string, at: number): SplError {
  return new SplError("invalid_json", `invalid JSON: ${what} at byte ${utf8(text.slice(0, at)).length}`);
}

/**
 * Checks that `text`, decoded from valid UTF-8, is one JSON value as `parseJson` demands it, without building it
 * and without recursion. Says whether a number in it is minus zero.
 * @throws SplError invalid_json
 */
export function checkJson(text: string, maxDepth: number): { negativeZero: boolean } {
  const check = new Check(text);
  check.document(maxDepth);
  return check;
}

class Check {
  negativeZero = false;
  private at = 0;

  constructor(private readonly text: string) {}

  document(maxDepth: number): void {
    if (this.text.startsWith("\ufeff")) this.fail("byte order mark");
    // One entry for each array (null) or object (its keys so far) that is open.
    const open: (Set<string> | null)[] = [];
    for (;;) {
      const code = this.next();
      if (code === OPEN_OBJECT || code === OPEN_ARRAY) {
        if (open.length === maxDepth) this.fail(`more than ${maxDepth} nested levels`);
        this.at++;
        const keys = code === OPEN_OBJECT ? new Set<string>() : null;
        open.push(keys);
        if (this.next() !== (keys === null ? CLOSE_ARRAY : CLOSE_OBJECT)) {
          if (keys !== null) this.key(keys);
          continue;
        }
      } else if (code === QUOTE) this.string();
      else if (code === MINUS || (code >= ZERO && code <= NINE)) this.number();
      else this.word();
      if (!this.afterValue(open)) return;
    }
  }

  /** Closes what ends here and reads up to where the next value starts. False when the document is over. */
  private afterValue(open: (Set<string> | null)[]): boolean {
    while (open.length > 0) {
      const keys = open[open.length - 1]!;
      const code = this.next();
      if (code === COMMA) {
        this.at++;
        if (keys !== null) this.key(keys);
        return true;
      }
      if (code !== (keys === null ? CLOSE_ARRAY : CLOSE_OBJECT)) {
        this.fail(keys === null ? "expected , or ]" : "expected , or }");
      }
      this.at++;
      open.pop();
    }
    this.next();
    if (this.at < this.text.length) this.fail("something behind the value");
    return false;
  }

  private fail(what: string, at: number = this.at): never {
    throw invalidJson(at < this.text.length ? what : "unexpected end", this.text, at);
  }

  /** Skips white space. Returns the code unit there, or 0, which no token holds, at the end. */
  private next(): number {
    const text = this.text;
    while (this.at < text.length) {
      const code = text.charCodeAt(this.at);
      if (code > SPACE || (code !== SPACE && code !== 0x0a && code !== 0x0d && code !== 0x09)) return code;
      this.at++;
    }
    return 0;
  }

  private key(keys: Set<string>): void {
    if (this.next() !== QUOTE) this.fail("expected a key in double quotes");
    const start = this.at;
    const escaped = this.string();
    const key = escaped
      ? (JSON.parse(this.text.slice(start, this.at)) as string)
      : this.text.slice(start + 1, this.at - 1);
    if (keys.has(key)) this.fail("duplicate key", start);
    keys.add(key);
    if (this.next() !== COLON) this.fail("expected :");
    this.at++;
  }

  /** Returns whether the string holds an escape. */
  private string(): boolean {
    const text = this.text;
    let at = this.at + 1;
    let escaped = false;
    while (at < text.length) {
      const code = text.charCodeAt(at);
      if (code === QUOTE) {
        this.at = at + 1;
        return escaped;
      }
      if (code === BACKSLASH) {
        at = this.escape(at);
        escaped = true;
      } else {
        if (code < SPACE) this.fail("control character in a string", at);
        at++;
      }
    }
    return this.fail("unexpected end", at);
  }

  /** Returns the offset behind the escape that starts at `at`. */
  private escape(at: number): number {
    const letter = this.text.charAt(at + 1);
    if (letter !== "u") {
      if (!/^["\\/bfnrt]$/.test(letter)) this.fail("unknown escape", at + 1);
      return at + 2;
    }
    const unit = this.escapedUnit(at);
    if (unit < 0xd800 || unit > 0xdfff) return at + 6;
    const low = unit < 0xdc00 && this.text.startsWith("\\u", at + 6) ? this.escapedUnit(at + 6) : 0;
    if (low < 0xdc00 || low > 0xdfff) this.fail("lone surrogate", at);
    return at + 12;
  }

  /** The code unit that the `\uXXXX` at `at` stands for. */
  private escapedUnit(at: number): number {
    const digits = this.text.slice(at + 2, at + 6);
    if (!/^[0-9A-Fa-f]{4}$/.test(digits)) this.fail("unknown escape", at + 1);
    return Number.parseInt(digits, 16);
  }

  private number(): void {
    const start = this.at;
    NUMBER.lastIndex = start;
    if (!NUMBER.test(this.text)) this.fail("expected a digit", start + 1);
    this.at = NUMBER.lastIndex;
    const literal = this.text.slice(start, this.at);
    const value = Number(literal);
    if (!Number.isFinite(value)) this.fail("number too large for a double", start);
    if (value === 0) this.negativeZero ||= Object.is(value, -0);
    else if (INTEGER.test(literal) && String(value) !== literal) {
      this.fail(`integer that would become ${value}`, start);
    }
  }

  private word(): void {
    const word = WORDS.find((word) => this.text.startsWith(word, this.at));
    if (word === undefined) this.fail("expected a value");
    this.at += word.length;
  }
}
