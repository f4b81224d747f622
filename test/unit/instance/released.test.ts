import { expect, test } from "bun:test";
import { chmodSync, cpSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { listAccounts, revokeAccount } from "../../../lib/instance/accounts.ts";
import { Instance } from "../../../lib/instance/instance.ts";
import { OWNER } from "../../../lib/instance/scopes.ts";
import { signIn } from "../../../lib/instance/sign_in.ts";
import { status } from "../../../lib/instance/status.ts";
import { listTokens } from "../../../lib/instance/tokens.ts";
import { exported, fill } from "../../kit/instances.ts";
import { ScratchFolder } from "../../kit/store.ts";

/** Homes of earlier releases open with this one, and hold what they held. */

const RELEASED = join(import.meta.dir, "..", "..", "..", "fixtures", "released");

/** A copy, with the modes that a checkout does not keep. */
function copyOf(release: string, folder: ScratchFolder): string {
  const home = folder.file("home");
  cpSync(join(RELEASED, release), home, { recursive: true });
  chmodSync(join(home, "keys"), 0o700);
  for (const key of readdirSync(join(home, "keys"))) chmodSync(join(home, "keys", key), 0o600);
  return home;
}

test("a store of schema 1 keeps its records, its account and its token", async () => {
  using folder = new ScratchFolder();
  const home = copyOf("0.33.0-schema-1", folder);
  const bearer = "spl_live_ci_OJ1IL90sfsusgj1ugrMwyoMn4kFxy85gZ2tvabOo9j4";
  // The second time, the store has this release's schema already.
  for (let open = 0; open < 2; open++) {
    const instance = await Instance.open(home, {}, { ownsLog: true });
    expect(await status(instance)).toEqual({
      instance_did: "did:sync:instance:released-3965df1675fdaf599c23f8067119bab4e8936339",
      epoch: 1793491200000,
      state: "active",
      moved_to: null,
      same_address: false,
      since: null,
      records: 4,
      threads: 2,
      forks: 0,
      digest: "ec7df7c950d6a9a42cc8396c0a211c502aa5bba0300ba7a5a3e930d9aaa7749e",
    });
    expect(await listAccounts(instance)).toEqual([
      {
        name: "ci",
        kind: "service",
        scopes: ["records:read", "records:write"],
        actors: ["did:sync:user:alice"],
        description: "",
        created_at: null,
        state: "active",
      },
    ]);
    expect(await listTokens(instance)).toMatchObject([
      { account: "ci", kind: "bearer", description: "released", expires_at: null, state: "active" },
    ]);
    expect((await signIn(instance, bearer, null)).account.name).toBe("ci");
    await instance.close();
  }
});

test("what this release adds works on it: new records, ends of accounts, exports", async () => {
  using folder = new ScratchFolder();
  const home = copyOf("0.33.0-schema-1", folder);
  const instance = await Instance.open(home, {}, { ownsLog: true });
  await fill(instance, 5);
  expect(await revokeAccount(instance, "ci", null, OWNER)).toMatchObject({ state: "revoked" });
  expect(await listTokens(instance)).toMatchObject([{ state: "revoked" }]);
  expect((await status(instance)).records).toBe(9);
  await instance.close();
  expect((await exported(home)).length).toBeGreaterThan(1000);
});
