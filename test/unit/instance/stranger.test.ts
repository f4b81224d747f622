import { describe, expect, test } from "bun:test";
import { showIdentity } from "../../../lib/instance/identity.ts";
import type { Instance } from "../../../lib/instance/instance.ts";
import { OWNER } from "../../../lib/instance/scopes.ts";
import { signIn } from "../../../lib/instance/sign_in.ts";
import { status } from "../../../lib/instance/status.ts";
import { mintToken } from "../../../lib/instance/tokens.ts";
import { alice, bob, chain, sourceOf, write } from "../../kit/bundle_kit.ts";
import { exported, fill, imported, newInstance } from "../../kit/instances.ts";
import { type TestSigner, testSigner } from "../../kit/records.ts";
import { ScratchFolder } from "../../kit/store.ts";

const RECORDS_ONLY = { keepIdentity: true, forceOverwrite: true };

function accountsOf(instance: Instance) {
  return instance.store.read((reader) => reader.accounts());
}

/** A signer whose DID does not prove its key. */
function webSigner(n: number): TestSigner {
  return { ...testSigner(n), did: "did:web:carol.example" };
}

describe("a bundle of somebody else", () => {
  test("brings its records, but neither its accounts nor its tokens", async () => {
    using folder = new ScratchFolder();
    const stranger = await newInstance(folder, "stranger");
    const mine = await newInstance(folder, "mine");
    await fill(stranger, 3);
    const { token } = await mintToken(stranger, { account: "boss", scopes: ["admin"] }, OWNER);
    const bundle = await exported(folder.file("stranger"), { carryTokens: true });
    const options = [{ ...RECORDS_ONLY, dryRun: true }, RECORDS_ONLY];
    for (const each of options) {
      expect(await imported(folder.file("mine"), bundle, each)).toMatchObject({
        identity: "kept",
        inserted: 3,
        accounts_kept: [],
      });
    }
    expect(await accountsOf(mine)).toEqual([]);
    await expect(signIn(mine, token, null)).rejects.toMatchObject({ code: "unauthorized" });
    await Promise.all([stranger.close(), mine.close()]);
  });

  test("without its identity it brings no accounts either", async () => {
    using folder = new ScratchFolder();
    const stranger = await newInstance(folder, "stranger");
    const mine = await newInstance(folder, "mine");
    await mintToken(stranger, { account: "boss", scopes: ["admin"] }, OWNER);
    await imported(folder.file("mine"), await exported(folder.file("stranger"), { identity: "none" }));
    expect(await accountsOf(mine)).toEqual([]);
    await Promise.all([stranger.close(), mine.close()]);
  });

  test("is refused when its own signatures are not valid, although its manifest vouches for them", async () => {
    using folder = new ScratchFolder();
    const mine = await newInstance(folder, "mine");
    const [first, ...rest] = chain(alice, "th_a", 3);
    const forged = await write(sourceOf(alice, [{ ...first!, sig: new Uint8Array(64) }, ...rest]), "zst");
    const bare = await write(sourceOf(alice, [{ ...first!, sig: new Uint8Array(64) }], { identity: "none" }));
    for (const [bundle, options] of [
      [forged, RECORDS_ONLY],
      [bare, {}],
    ] as const) {
      await expect(imported(folder.file("mine"), bundle, options)).rejects.toMatchObject({
        code: "bundle_malformed",
        message: expect.stringContaining(`its signature by ${alice.did} is not valid`),
      });
    }
    expect((await status(mine)).records).toBe(0);
    await mine.close();
  });

  test("cannot say which key somebody else signs with", async () => {
    using folder = new ScratchFolder();
    const mine = await newInstance(folder, "mine");
    const carol = webSigner(3);
    const bundle = await write(sourceOf(alice, chain(carol, "th_a", 1), { others: [carol] }));
    await expect(imported(folder.file("mine"), bundle, RECORDS_ONLY)).rejects.toMatchObject({
      code: "verification_failed",
      message: expect.stringContaining("did:web:carol.example"),
    });
    expect((await status(mine)).records).toBe(0);
    await mine.close();
  });
});

describe("a signer", () => {
  test("has one key: a bundle that gives it another is refused, and the next export can be imported", async () => {
    using folder = new ScratchFolder();
    const mine = await newInstance(folder, "mine");
    const bundleOf = (n: number, thread: string) =>
      write(sourceOf(bob, chain(webSigner(n), thread, 2), { others: [webSigner(n)] }));
    await imported(folder.file("mine"), await bundleOf(3, "th_a"));
    const { did } = await showIdentity(mine);
    expect(did).toBe(bob.did);
    const other = await bundleOf(4, "th_b");
    for (const dryRun of [true, false]) {
      await expect(
        imported(folder.file("mine"), other, { forceOverwrite: true, dryRun }),
      ).rejects.toMatchObject({
        code: "verification_failed",
      });
    }
    await newInstance(folder, "next").then((next) => next.close());
    expect(await imported(folder.file("next"), await exported(folder.file("mine")))).toMatchObject({
      inserted: 2,
    });
    await mine.close();
  });
});
