import { chmodSync, cpSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Homes of earlier releases and the bundles that these wrote of them (`fixtures/released`). */

const RELEASED = join(import.meta.dir, "..", "..", "fixtures", "released");

/** The name of each folder there, oldest schema first. */
export const RELEASES: readonly string[] = readdirSync(RELEASED, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)
  .sort();

/** Copies one to `home`, which is not there yet, with the modes that a checkout does not keep. */
export function copyReleased(release: string, home: string): void {
  for (const part of ["hub.db", "keys"])
    cpSync(join(RELEASED, release, part), join(home, part), { recursive: true });
  chmodSync(join(home, "hub.db"), 0o600);
  chmodSync(join(home, "keys"), 0o700);
  for (const key of readdirSync(join(home, "keys"))) chmodSync(join(home, "keys", key), 0o600);
}

/** An uncompressed bundle, tokens included. */
export function releasedBundle(release: string): Uint8Array {
  return new Uint8Array(readFileSync(join(RELEASED, release, "bundle.tar")));
}
