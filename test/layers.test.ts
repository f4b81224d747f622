import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

const root = join(import.meta.dir, "..");

/** What a room may import. Arrows point down and are transitive; rooms never import sideways. */
const BELOW: Record<string, readonly string[]> = {
  "lib/base": [],
  "lib/record": ["lib/base"],
  "lib/identity": ["lib/record"],
  "lib/folds": ["lib/record"],
  "lib/store": ["lib/record"],
  "lib/bundle": ["lib/record", "lib/identity"],
  "lib/api": ["lib/record"],
  "lib/pairing": ["lib/base"],
  "lib/client": ["lib/api", "lib/identity"],
  "lib/instance": ["lib/store", "lib/bundle", "lib/folds", "lib/identity", "lib/pairing"],
  "lib/backup": ["lib/instance"],
  "lib/drill": ["lib/backup", "lib/client"],
  "lib/federation": ["lib/instance", "lib/api"],
  "lib/hosting": ["lib/api", "lib/identity"],
  "lib/ui": ["lib/base"],
  server: ["lib/instance", "lib/federation", "lib/hosting", "lib/client"],
  commands: ["lib/drill", "lib/federation", "lib/hosting", "lib/client", "lib/ui"],
};

/** The two commands that run a server. */
const SERVING = ["commands/serve.ts", "commands/host/serve.ts"];

interface Import {
  specifier: string;
  /** False for `import()`: the file named is not needed to load this one. */
  atLoad: boolean;
}

function room(path: string): string {
  const [top, second] = path.split("/");
  return top === "lib" ? `lib/${second}` : top!;
}

function allBelow(name: string): Set<string> {
  const rooms = new Set(BELOW[name]);
  for (const below of rooms) for (const further of BELOW[below] ?? []) rooms.add(further);
  return rooms;
}

/** Every import of another file of this project: static, for types only, re-exported, dynamic. */
function importsOf(source: string): Import[] {
  const code = source.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
  const matches = [
    ...code.matchAll(/^\s*(?:import|export|\})[^"'`;]*?from\s*["']([^"']+)["']/gm),
    ...code.matchAll(/^\s*import\s*["']([^"']+)["']/gm),
  ].map(([, specifier]) => ({ specifier: specifier!, atLoad: true }));
  const dynamic = [...code.matchAll(/\bimport\(\s*([^)]*?)\s*,?\s*\)/g)].map(([, argument]) => ({
    specifier: /^["']([^"']+)["']$/.exec(argument!)?.[1] ?? `computed: ${argument}`,
    atLoad: false,
  }));
  return [...matches, ...dynamic].filter(({ specifier }) => /^(?:\.|computed: )/.test(specifier));
}

/** What is wrong with one import, or null. */
function fault(from: string, specifier: string): string | null {
  if (specifier.startsWith("computed: ")) return `${from} imports what cannot be read off the source`;
  const to = relative(root, join(root, dirname(from), specifier));
  if (to === "package.json" && from === "lib/base/version.ts") return null;
  const [here, there] = [room(from), room(to)];
  const arrow = `${from} → ${to}`;
  if (BELOW[here] === undefined) return `${arrow}: ${here} is no room`;
  const allowed =
    here === there || allBelow(here).has(there) || (there === "server" && SERVING.includes(from));
  if (!allowed) return `${arrow}: ${here} may not use ${there}`;
  return existsSync(join(root, to)) && /\.[a-z]+$/.test(to) ? null : `${arrow}: no such file`;
}

/** The files on a cycle, each importing the next, or null. */
function findCycle(graph: ReadonlyMap<string, readonly string[]>): string[] | null {
  const done = new Set<string>();
  const visit = (file: string, path: string[]): string[] | null => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return null;
    for (const next of graph.get(file) ?? []) {
      const cycle = visit(next, [...path, file]);
      if (cycle) return cycle;
    }
    done.add(file);
    return null;
  };
  for (const file of graph.keys()) {
    const cycle = visit(file, []);
    if (cycle) return cycle;
  }
  return null;
}

const files = ["commands", "lib", "server"]
  .filter((top) => existsSync(join(root, top)))
  .flatMap((top) => [...new Bun.Glob(`${top}/**/*.{ts,js}`).scanSync(root)])
  .sort();
const imports = new Map(files.map((file) => [file, importsOf(readFileSync(join(root, file), "utf8"))]));

test("every import follows the arrows of the house", () => {
  expect(imports.size).toBeGreaterThan(20);
  const faults = [...imports].flatMap(([file, list]) => list.map(({ specifier }) => fault(file, specifier)));
  expect(faults.filter((line) => line !== null)).toEqual([]);
});

test("no files import each other in a circle", () => {
  const graph = new Map(
    [...imports].map(([file, list]) => [
      file,
      list.filter(({ atLoad }) => atLoad).map(({ specifier }) => join(dirname(file), specifier)),
    ]),
  );
  expect(findCycle(graph)).toBeNull();
});

test("every spelling of an import is read", () => {
  const source = `
import "./effect.ts";
import { a } from "./value.ts";
import type { B } from './type.ts';
import {
  c,
  type D,
} from "../lines.ts";
export { e } from "./reexport.ts";
export * from "./star.ts";
import { f } from "citty";
// import { g } from "./comment.ts";
/* import { h } from "./block.ts"; */
const i = await import("./dynamic.ts");
const j: import("./inline_type.ts").J = 1;
const k = await import(
  "./wrapped.ts",
);
const l = await import(name);
`;
  expect(
    importsOf(source)
      .map(({ specifier }) => specifier)
      .sort(),
  ).toEqual([
    "../lines.ts",
    "./dynamic.ts",
    "./effect.ts",
    "./inline_type.ts",
    "./reexport.ts",
    "./star.ts",
    "./type.ts",
    "./value.ts",
    "./wrapped.ts",
    "computed: name",
  ]);
});

test("arrows that the house does not list are found", () => {
  const forbidden = [
    ["lib/bundle/write.ts", "../store/types.ts", "lib/bundle may not use lib/store"],
    ["lib/record/id.ts", "../identity/any.ts", "lib/record may not use lib/identity"],
    ["lib/federation/sync.ts", "../client/config.ts", "lib/federation may not use lib/client"],
    ["lib/store/reader.ts", "../folds/any.ts", "lib/store may not use lib/folds"],
    ["server/app.ts", "../lib/ui/table.ts", "server may not use lib/ui"],
    ["commands/export.ts", "../server/app.ts", "commands may not use server"],
    ["server/app.ts", "../commands/_kit.ts", "server may not use commands"],
    ["lib/client/http.ts", "../../commands/_kit.ts", "lib/client may not use commands"],
    ["lib/base/text.ts", "./text", "no such file"],
    ["lib/stray/text.ts", "../base/text.ts", "lib/stray is no room"],
  ] as const;
  for (const [from, specifier, expected] of forbidden)
    expect(fault(from, specifier)).toMatch(new RegExp(expected));
  expect(fault("lib/instance/emit.ts", "../record/types.ts")).toBeNull();
  expect(fault("lib/client/config.ts", "../base/errors.ts")).toBeNull();
  expect(
    findCycle(
      new Map([
        ["a", ["b"]],
        ["b", ["c"]],
        ["c", ["b"]],
      ]),
    ),
  ).toEqual(["b", "c", "b"]);
});
