import { chmodSync, cpSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** Homes of earlier releases (`fixtures/released`). */

const RELEASED = join(import.meta.dir, "..", "..", "fixtures", "released");

/** The name of each folder there, oldest schema first. */
export const RELEASES: readonly string[] = readdirSync(RELEASED, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)
  .sort();

/** Copies one to `home`, which is not there yet, with the modes that a checkout does not keep. */
export function copyReleased(release: string, home: string): void {
  cpSync(join(RELEASED, release), home, { recursive: true });
  chmodSync(join(home, "keys"), 0o700);
  for (const key of readdirSync(join(home, "keys"))) chmodSync(join(home, "keys", key), 0o600);
}
