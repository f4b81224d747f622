import { expect, test } from "bun:test";
import { listAccounts, revokeAccount } from "../../../lib/instance/accounts.ts";
import { Instance } from "../../../lib/instance/instance.ts";
import { restoreBundle } from "../../../lib/instance/restore.ts";
import { OWNER } from "../../../lib/instance/scopes.ts";
import { signIn } from "../../../lib/instance/sign_in.ts";
import { status } from "../../../lib/instance/status.ts";
import { listTokens } from "../../../lib/instance/tokens.ts";
import { SCHEMA_VERSION } from "../../../lib/store/schema.ts";
import { exported, fill, inPieces } from "../../kit/instances.ts";
import { copyReleased, RELEASES, releasedBundle } from "../../kit/released.ts";
import { ScratchFolder } from "../../kit/store.ts";

/** Homes of earlier releases open with this one, and hold what they held. */

/** A copy of one. */
function copyOf(release: string, folder: ScratchFolder): string {
  const home = folder.file("home");
  copyReleased(release, home);
  return home;
}

const BEARER = "spl_live_ci_OJ1IL90sfsusgj1ugrMwyoMn4kFxy85gZ2tvabOo9j4";
const ACTIVE = { state: "active", moved_to: null, same_address: false, since: null, forks: 0 } as const;

/** What each of them holds. */
const HELD = {
  "0.33.0-schema-1": {
    status: {
      ...ACTIVE,
      instance_did: "did:sync:instance:released-3965df1675fdaf599c23f8067119bab4e8936339",
      epoch: 1793491200000,
      records: 4,
      threads: 2,
      digest: "ec7df7c950d6a9a42cc8396c0a211c502aa5bba0300ba7a5a3e930d9aaa7749e",
    },
    account: { description: "", created_at: null },
  },
  "0.33.0-schema-2": {
    status: {
      ...ACTIVE,
      instance_did: "did:sync:instance:released-0a5bf2ac1639aa0921a2aba112ad27da17971f8d",
      epoch: 1793534400000,
      records: 3,
      threads: 2,
      digest: "a1b5ecdf69625f82ad736870d81b7e89e84b57ff1fcd23dd003aa70684a9ef28",
    },
    account: { description: "released", created_at: "2026-11-01T12:00:00.001Z" },
  },
  "0.33.0-schema-3": {
    status: {
      ...ACTIVE,
      instance_did: "did:sync:instance:released-668c47457db94701ed118f9c32cda44f5c963c97",
      epoch: 1793577600001,
      records: 5,
      threads: 3,
      digest: "56ca56e52dd5519ca3a209fbdba8ec0b3cdd974b0ca19b6bbbac3af25011052d",
    },
    account: { description: "released", created_at: "2026-11-02T00:00:00.002Z" },
  },
  "0.33.0-schema-4": {
    status: {
      ...ACTIVE,
      instance_did: "did:sync:instance:released-2d5e3b6bba71e1d4eb40263930beaa8d14e6b368",
      epoch: 1795987577011,
      records: 5,
      threads: 3,
      digest: "4a8ab5a5de7c0872c072866b2d0ba9351560940152756bff3014577f060506e6",
    },
    account: { description: "released", created_at: "2026-11-29T21:26:23.084Z" },
  },
};

test.each(Object.entries(HELD))(
  "a store of %s keeps its records, its account and its token",
  async (release, held) => {
    using folder = new ScratchFolder();
    const home = copyOf(release, folder);
    // The second time, the store has this release's schema already.
    for (let open = 0; open < 2; open++) {
      const instance = await Instance.open(home, {}, { ownsLog: true });
      expect(await status(instance)).toEqual(held.status);
      expect(await listAccounts(instance)).toEqual([
        {
          name: "ci",
          kind: "service",
          scopes: ["records:read", "records:write"],
          actors: ["did:sync:user:alice"],
          state: "active",
          ...held.account,
        },
      ]);
      expect(await listTokens(instance)).toMatchObject([
        { account: "ci", kind: "bearer", description: "released", expires_at: null, state: "active" },
      ]);
      expect((await signIn(instance, BEARER, null)).account.name).toBe("ci");
      await instance.close();
    }
  },
);

test.each(Object.entries(HELD))(
  "what this release adds works on %s: new records, ends of accounts, exports",
  async (release, held) => {
    using folder = new ScratchFolder();
    const home = copyOf(release, folder);
    const instance = await Instance.open(home, {}, { ownsLog: true });
    await fill(instance, 5);
    expect(await revokeAccount(instance, "ci", null, OWNER)).toMatchObject({ state: "revoked" });
    expect(await listTokens(instance)).toMatchObject([{ state: "revoked" }]);
    expect((await status(instance)).records).toBe(held.status.records + 5);
    await instance.close();
    expect((await exported(home)).length).toBeGreaterThan(1000);
  },
);

test.each(RELEASES)(
  "a home of %s exports the bytes that its release did, and they restore",
  async (release) => {
    using folder = new ScratchFolder();
    const home = copyOf(release, folder);
    const bundle = releasedBundle(release);
    const options = { compression: "none", carryTokens: true } as const;
    expect(await exported(home, options)).toEqual(bundle);
    const restored = folder.file("restored");
    await restoreBundle(restored, inPieces(bundle), { expectDid: null, deep: true, newIdentity: false });
    expect(await exported(restored, options)).toEqual(bundle);
  },
);

test("a thread that the fourth schema took for a public one is none after an upgrade", async () => {
  using folder = new ScratchFolder();
  const instance = await Instance.open(copyOf("0.33.0-schema-4", folder), {}, { ownsLog: true });
  const threads = await instance.store.read((reader) => Array.fromAsync(reader.threads()));
  expect(threads.flat().map(({ thread, namespaces, kept }) => [thread, namespaces, kept])).toEqual([
    ["th_goal", ["default"], false],
    ["th_odd", [], true],
    ["th_private", ["default", "private"], false],
  ]);
  await instance.close();
});

test("every release's home is among these", () => {
  expect(Object.keys(HELD)).toEqual([...RELEASES]);
  expect(RELEASES).toHaveLength(SCHEMA_VERSION - 1);
});
