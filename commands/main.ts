#!/usr/bin/env bun
import { writeSync } from "node:fs";
import { VERSION } from "../lib/base/version.ts";

const argv = process.argv.slice(2);
if (!toldVersion(argv)) {
  const { runProcess } = await import("./_exit.ts");
  await runProcess(argv, async (ctx) => {
    const { COMMANDS } = await import("./_table.ts");
    const { dispatch } = await import("./_dispatch.ts");
    const asked = argv[0] === "--version" || argv[0] === "-V" ? ["version", ...argv.slice(1)] : argv;
    await dispatch(COMMANDS, asked, ctx);
  });
}

/** The version is told before anything else is loaded. False when it was not asked for or not written. */
function toldVersion([word, ...rest]: readonly string[]): boolean {
  if (rest.length > 0 || (word !== "--version" && word !== "-V" && word !== "version")) return false;
  try {
    writeSync(1, `spl ${VERSION}\n`);
    return true;
  } catch {
    return false;
  }
}
