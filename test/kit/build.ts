import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

/** Compiles `dist/spl`. Run by `bun run build`. */

const root = join(import.meta.dir, "..", "..");
const dist = join(root, "dist");

// A compiled binary finds a worker only if it was an entry point of the build.
const entries = ["commands/main.ts", "server/bundle_worker.ts"].filter((entry) =>
  existsSync(join(root, entry)),
);

mkdirSync(dist, { recursive: true });
// The build leaves its source maps beside the binary although it also embeds them, and a test that runs
// meanwhile must find the old binary or the new one: hence a folder of its own and a rename.
const scratch = mkdtempSync(join(dist, ".build-"));
try {
  const build = Bun.spawnSync(
    [
      process.execPath,
      "build",
      "--compile",
      "--minify",
      // CommonJS bytecode, the default, cannot hold `import.meta`.
      "--bytecode",
      "--format=esm",
      // Each command is a chunk of its own, loaded when it is named.
      "--splitting",
      "--sourcemap",
      // Without these two the binary would load `.env` and run the preload of a `bunfig.toml` of whatever folder
      // it is started in.
      "--no-compile-autoload-dotenv",
      "--no-compile-autoload-bunfig",
      ...entries,
      "--outfile",
      join(scratch, "spl"),
    ],
    { cwd: root, stdout: "pipe", stderr: "inherit" },
  );
  if (build.exitCode !== 0) process.exit(build.exitCode);
  renameSync(join(scratch, "spl"), join(dist, "spl"));
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
