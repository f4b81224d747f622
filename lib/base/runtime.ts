/** True in the binary that `bun build --compile` wrote, false when a command runs as a script. */
export const isCompiled: boolean = Bun.main.startsWith("/$bunfs/") || /^[A-Z]:[/\\]~BUN[/\\]/.test(Bun.main);

/**
 * The specifier under which `new Worker()` finds an extra entry point of the build.
 * @param entry path from the project's root, such as `server/bundle_worker.ts`
 */
export function workerSpecifier(entry: string): string {
  return isCompiled ? `./${entry}` : new URL(`../../${entry}`, import.meta.url).href;
}

/** The command line that starts `spl` again: the binary itself, or Bun with the entry script. */
export function selfCommand(): string[] {
  return isCompiled
    ? [process.execPath]
    : [process.execPath, new URL("../../commands/main.ts", import.meta.url).pathname];
}
