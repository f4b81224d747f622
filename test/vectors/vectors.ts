import { readFileSync } from "node:fs";

/** The bytes of a file under `fixtures/vectors`. */
export function vectorBytes(path: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(new URL(`../../fixtures/vectors/${path}`, import.meta.url)));
}

export function vectorJson<T>(path: string): T {
  return JSON.parse(new TextDecoder().decode(vectorBytes(path))) as T;
}

/** The rows of a JSON Lines file. */
export function vectorLines<T>(path: string): T[] {
  const text = new TextDecoder().decode(vectorBytes(path));
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as T);
}
