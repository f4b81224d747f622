import { SplError } from "../base/errors.ts";
import { problemOf } from "./health.ts";
import { type ImportPorts, importBundle } from "./import.ts";
import { rollBack } from "./rollback.ts";
import type { ImportOptions, ImportSummary } from "./types.ts";

export interface CheckedImportOptions extends ImportOptions {
  /** Take the import back when the instance does not come up right behind it. */
  autoRollback: boolean;
  /** Folder of the copies of what rollbacks remove. */
  copies: string;
}

/**
 * Imports as `importBundle` does, then looks whether the instance comes up right (`problemOf`), and takes the import
 * back where it does not.
 * @throws SplError as `importBundle`; import_undone when it was taken back; unhealthy when it could not be
 */
export async function importChecked(
  home: string,
  input: AsyncIterable<Uint8Array>,
  options: CheckedImportOptions,
  ports: ImportPorts = {},
): Promise<ImportSummary> {
  const summary = await importBundle(home, input, options, ports);
  const { receipt, batch } = summary;
  if (receipt === null) return summary;
  const problem = await problemOf(home, receipt, ports);
  if (problem === null || !options.autoRollback) return { ...summary, problem };
  const what = `the instance did not come up right after the import: ${problem}`;
  try {
    await rollBack(home, { ...options, batch, sparing: true, by: "import" }, ports);
  } catch (error) {
    throw new SplError("unhealthy", `${what}; taking it back failed: ${String((error as Error).message)}`, {
      hint: "spl doctor --deep says more, spl restore makes a home from a backup",
      cause: error,
    });
  }
  throw new SplError("import_undone", `${what}; it was taken back, nothing has changed`, {
    hint: "spl doctor --deep looks for the cause; --no-auto-rollback keeps an import as it is",
  });
}
