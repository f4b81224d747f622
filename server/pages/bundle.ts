/**
 * The JavaScript of a browser module with all that it imports, in one file. Call it as a macro, with a literal:
 *
 *     import { browserBundle } from "./bundle.ts" with { type: "macro" };
 *     const SCRIPT = browserBundle("server/pages/browser/pair.ts");
 *
 * The build of the binary then holds the finished text, and a command that runs from source makes it when the file
 * that calls it is loaded: load such a file only for the request that needs it. Web Workers are modules like any
 * other. In a process of its own, since one build cannot wait for another inside it.
 * @param entry path from the project's root
 */
export function browserBundle(entry: string): string {
  const root = `${import.meta.dir}/../..`;
  const command = [process.execPath, "build", "--target=browser", "--format=esm", "--minify", entry];
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, { cwd: root, stdout: "pipe", stderr: "pipe" });
  if (exitCode !== 0) throw new Error(`cannot bundle ${entry}: ${stderr}`);
  return stdout.toString();
}
