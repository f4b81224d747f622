import { expect, test } from "bun:test";
import { join } from "node:path";
import { alice, bob, chain, read, sourceOf, write } from "../../kit/bundle_kit.ts";
import { makeEntry } from "../../kit/records.ts";

/*
 * A bundle as this format fixed it once and for all: every later release reads it, and makes the same tar of the
 * same records. A change here is a change of the format and needs a new bundle_version.
 */
const GOLDEN = join(import.meta.dir, "../../../fixtures/bundles/good/version-1.tar");

/** Two signers, a fork, non-ASCII text, numbers at the edges, accounts and tokens. */
function source() {
  const root = makeEntry(
    { thread: "th_edge", body: { "é漢😀": [1e21, 5e-324, -0, 0.1], "\u0001": null } },
    { signer: alice },
  );
  const judged = makeEntry(
    { thread: "th_edge", clock: 1, parents: [root.id] },
    { signer: bob, judgedBy: root.id },
  );
  const fork = makeEntry(
    { thread: "th_edge", clock: 1, parents: [root.id], data_type: "VOID" },
    { signer: alice },
  );
  const entries = [...chain(alice, "th_a", 5), ...chain(bob, "th_b", 2), root, judged, fork];
  return sourceOf(alice, entries, {
    accounts: [{ name: "ci", scopes: ["records:read"], actors: [] }],
    tokens: [{ token_sha256: "ab".repeat(32), account: "ci", description: "golden", expires_at: null }],
  });
}

test("the golden bundle is read, and written again byte for byte", async () => {
  const golden = await Bun.file(GOLDEN).bytes();
  const end = (await read(golden, { deep: true })).at(-1);
  expect(end).toMatchObject({
    kind: "end",
    manifest: { record_count: 10, thread_count: 3, tokens: "carried" },
  });
  expect(await write(source())).toEqual(golden);
  expect(Bun.SHA256.hash(golden, "hex")).toBe(
    "26fc6eb9c7ec28b8a3ce422840257aa1c1929a23320ca55324b88a30c3cd4b1e",
  );
});
