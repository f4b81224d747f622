/** Order of strings by their bytes in UTF-8 when both are ASCII (ids, DIDs, thread ids): negative, 0, positive. */
export function compareAscii(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** `1 record`, `2 records`. */
export function counted(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}

/** Whether a text has `min` to `max` UTF-16 code units and no control characters. */
export function isPlainText(text: string, min: number, max: number): boolean {
  return text.length >= min && text.length <= max && !/[\u0000-\u001f\u007f-\u009f]/.test(text);
}

/** As a shell takes it for one word. */
export function shellWord(text: string): string {
  return /^[\w./:-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
