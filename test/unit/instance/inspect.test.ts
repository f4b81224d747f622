import { expect, test } from "bun:test";
import { inspectBundle } from "../../../lib/instance/inspect.ts";
import { alice, chunked, sourceOf, write } from "../../kit/bundle_kit.ts";
import { makeEntry } from "../../kit/records.ts";

test("each of several pairs with one peer counts, as in bundles of earlier releases", async () => {
  const body = { topic: "pair", peer_did: "did:sync:instance:peer", state: "active" };
  const pairs = [1, 2, 3].map((n) =>
    makeEntry({ thread: "th_federation_pairs", act: "LEARN", body: { ...body, n } }, { signer: alice }),
  );
  const inspect = async (federationPairs: number) =>
    inspectBundle(chunked(await write(sourceOf(alice, pairs, { federationPairs }))));
  expect((await inspect(3)).manifest.federation_pairs).toBe(3);
  await expect(inspect(1)).rejects.toThrow("federation_pairs is 1, but the records hold 3");
});
