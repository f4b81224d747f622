import { describe, expect, test } from "bun:test";
import { EXIT_STATUS, errorLine } from "../../commands/_exit.ts";
import { defineSpl, runSplCommand, targetArgs } from "../../commands/_kit.ts";
import { SplError } from "../../lib/base/errors.ts";
import { collectingContext } from "../kit/context.ts";

type Given = Record<string, string | boolean | undefined>;

let seen: Given | undefined;
const command = defineSpl({
  name: "probe",
  summary: "Probe",
  args: {
    bundle: { type: "positional", valueHint: "FILE" },
    other: { type: "positional", required: false },
    out: { type: "string", valueHint: "FILE" },
    forceOverwrite: { type: "boolean" },
    identity: { type: "boolean", default: true },
    compression: { type: "enum", options: ["zst", "gz"], default: "zst" },
    ...targetArgs,
  },
  run: async (_, { bundle, other, out, forceOverwrite, identity, compression, url }) => {
    seen = { bundle, other, out, forceOverwrite, identity, compression, url };
  },
});

/** What `run` gets for a command line, or the line that refuses it. */
async function given(...argv: string[]): Promise<Given | string> {
  seen = undefined;
  const ctx = collectingContext(argv);
  try {
    await runSplCommand(command, argv, ctx);
  } catch (error) {
    if (!(error instanceof SplError)) throw error;
    expect(EXIT_STATUS[error.code]).toBe(2);
    expect(ctx.out.text).toBe("");
    expect(seen).toBeUndefined();
    return errorLine(error);
  }
  return seen ?? "did not run";
}

const defaults = {
  other: undefined,
  out: undefined,
  forceOverwrite: false,
  identity: true,
  compression: "zst",
  url: undefined,
};

test("a last positional that says so takes all that remain", async () => {
  let threads: string | undefined;
  const many = defineSpl({
    name: "probe",
    summary: "Probe",
    args: {
      pair: { type: "positional" },
      threads: { type: "positional", required: false, valueHint: "THREAD…" },
    },
    run: async (_, args) => {
      threads = args.threads;
    },
  });
  const run = (...argv: string[]) => runSplCommand(many, argv, collectingContext(argv));
  await run("p", "th_a", "-o", "json", "th_b", "th_c");
  expect(threads).toBe("th_a th_b th_c");
  await run("p");
  expect(threads).toBeUndefined();
  await expect(run("p", "th_a", "")).rejects.toMatchObject({ code: "usage" });
});

describe("accepted", () => {
  const cases: [argv: string[], expected: Given][] = [
    [["a.tar"], { bundle: "a.tar" }],
    [["a.tar", "b.tar"], { bundle: "a.tar", other: "b.tar" }],
    [["-"], { bundle: "-" }],
    [["--out", "x", "a"], { bundle: "a", out: "x" }],
    [["a", "--out=x"], { bundle: "a", out: "x" }],
    [["a", "--out", "-"], { bundle: "a", out: "-" }],
    [["a", "--out=--odd"], { bundle: "a", out: "--odd" }],
    [["a", "--out=k=v"], { bundle: "a", out: "k=v" }],
    [["a", "--out=--no-identity"], { bundle: "a", out: "--no-identity" }],
    [["a", "--force-overwrite"], { bundle: "a", forceOverwrite: true }],
    [["a", "--no-identity"], { bundle: "a", identity: false }],
    [["a", "--compression", "gz"], { bundle: "a", compression: "gz" }],
    [["-ojson", "a"], { bundle: "a" }],
    [["-o=json", "a"], { bundle: "a" }],
    [["--", "--out"], { bundle: "--out" }],
    [["a", "--", "--no-identity"], { bundle: "a", other: "--no-identity" }],
    [["--", "--", "--"], { bundle: "--", other: "--" }],
    [["__proto__"], { bundle: "__proto__" }],
  ];
  for (const [argv, expected] of cases) {
    test(argv.join(" "), async () => {
      expect(await given(...argv)).toEqual({ ...defaults, ...expected });
    });
  }
});

describe("refused in one line that says what to type", () => {
  const cases: [argv: string[], line: string][] = [
    [[], "FILE is missing; see 'spl probe --help'"],
    [["a", "--foo"], "unknown flag --foo for 'spl probe'; see 'spl probe --help'"],
    [["a", "--foo=1"], "unknown flag --foo for 'spl probe'; see 'spl probe --help'"],
    [
      ["a", "--force-overwrte"],
      "unknown flag --force-overwrte for 'spl probe'; did you mean --force-overwrite?",
    ],
    [
      ["a", "--forceOverwrite"],
      "unknown flag --forceOverwrite for 'spl probe'; did you mean --force-overwrite?",
    ],
    [["a", "--identity"], "unknown flag --identity for 'spl probe'; see 'spl probe --help'"],
    [["a", "--no-out"], "unknown flag --no-out for 'spl probe'; see 'spl probe --help'"],
    [["a", "--__proto__"], "unknown flag --__proto__ for 'spl probe'; see 'spl probe --help'"],
    [["a", "-x"], "unknown flag -x for 'spl probe'; see 'spl probe --help'"],
    [["a", "--out"], "--out needs a value; type --out FILE"],
    [["a", "--out", "--force-overwrite"], "--out needs a value; type --out FILE"],
    [["a", "--out", "--"], "--out needs a value; type --out FILE"],
    [["a", "--out="], "--out needs a value; type --out FILE"],
    [["a", "--out", ""], "--out needs a value; type --out FILE"],
    [["a", "--out", "x", "--out", "x"], "--out is given twice; see 'spl probe --help'"],
    [["a", "--force-overwrite=false"], "--force-overwrite takes no value; see 'spl probe --help'"],
    [["a", "--compression", "xz"], "--compression must be one of zst, gz, not 'xz'; see 'spl probe --help'"],
    [["a", "-o", "yaml"], "-o must be one of text, json, ndjson, not 'yaml'; see 'spl probe --help'"],
    [["a", "b", "c"], "unexpected argument 'c' for 'spl probe'; see 'spl probe --help'"],
    [[""], "FILE is empty; see 'spl probe --help'"],
    [
      ["a\x1b[2J", "b", "\x1b[2Jc"],
      "unexpected argument '\\x1b[2Jc' for 'spl probe'; see 'spl probe --help'",
    ],
  ];
  for (const [argv, line] of cases) {
    test(JSON.stringify(argv.join(" ")), async () => {
      expect(await given(...argv)).toBe(line);
    });
  }

  test("a required flag that is missing", async () => {
    const pair = defineSpl({
      name: "pair",
      summary: "Pair",
      args: { device: { type: "string", required: true, valueHint: "NAME" } },
      run: async () => {},
    });
    await expect(runSplCommand(pair, [], collectingContext([]))).rejects.toThrow("--device is missing");
  });
});
