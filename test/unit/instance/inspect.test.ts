import { expect, test } from "bun:test";
import { inspectBundle } from "../../../lib/instance/inspect.ts";
import { alice, chunked, sourceOf, write } from "../../kit/bundle_kit.ts";
import { makeEntry } from "../../kit/records.ts";

test("several pairs with one peer count once, or each of them, as in bundles of earlier releases", async () => {
  const body = { topic: "pair", peer_did: "did:sync:instance:peer", state: "active" };
  const pairs = [1, 2, 3].map((n) =>
    makeEntry({ thread: "th_federation_pairs", act: "LEARN", body: { ...body, n } }, { signer: alice }),
  );
  const inspect = async (federationPairs: number) =>
    inspectBundle(chunked(await write(sourceOf(alice, pairs, { federationPairs }))));
  for (const n of [1, 3]) expect((await inspect(n)).manifest.federation_pairs).toBe(n);
  await expect(inspect(2)).rejects.toThrow("federation_pairs is 2, but the records hold 1");
});
