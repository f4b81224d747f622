import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SqliteStore } from "../../lib/store/sqlite.ts";
import { type TestSigner, testSigner } from "./records.ts";

/** A folder that goes with its scope. */
export class ScratchFolder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "spl-"));

  file(name: string): string {
    return join(this.path, name);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** Creates and opens a store that knows the given signers and belongs to the first. */
export async function newStore(
  folder: ScratchFolder,
  signers: TestSigner[] = [testSigner(1)],
  name = "hub.db",
): Promise<SqliteStore> {
  const path = folder.file(name);
  await SqliteStore.create(path, `${path}.new`, async (writer) => {
    const [own] = signers;
    await writer.setIdentity({
      did: own!.did,
      name: "local",
      fingerprint: own!.key.fingerprint,
      publicKey: own!.key.publicKey,
      epoch: 1,
      stewardId: "0".repeat(32),
      url: null,
    });
    for (const { did, key } of signers) await writer.putSigner({ did, publicKey: key.publicKey });
  });
  return SqliteStore.open(path);
}
