import { describe, expect, test } from "bun:test";
import { utf8 } from "../../../lib/base/bytes.ts";
import { mintThread, recordId } from "../../../lib/record/id.ts";
import { compareOrder } from "../../../lib/record/order.ts";
import { isThread } from "../../../lib/record/shape.ts";

test("an id is what sha256sum says of the canonical bytes", () => {
  const canonical = `{"act":"KNOW","actor":"did:sync:user:alice","body":{"text":"grüße"},"clock":7,"data_type":"SCALAR","parents":["${"ab".repeat(32)}"],"thread":"th_demo"}`;
  expect(recordId(utf8(canonical))).toBe("9690d4da5c86fec1dd4ac6364903559d1bd351e1228f870ede949aa3736757fe");
});

describe("mintThread", () => {
  const nonce = new Uint8Array(16);
  const minted = mintThread("did:sync:user:alice", "plan the trip", nonce);

  test("has a known value and a thread's form", () => {
    expect(minted).toBe("th_5ebe33920c502d683212fd756bbd4c10f71954d77ff2ab71cdf2b2512f3768cc");
    expect(isThread(minted)).toBe(true);
  });

  test("differs with actor, purpose, nonce, and where one ends", () => {
    const others = [
      mintThread("did:sync:user:bob", "plan the trip", nonce),
      mintThread("did:sync:user:alice", "plan the trips", nonce),
      mintThread("did:sync:user:alice", "plan the trip", nonce.with(0, 1)),
      mintThread("did:sync:user:alicep", "lan the trip", nonce),
    ];
    expect(new Set([minted, ...others]).size).toBe(5);
  });
});

test("the canonical order is by clock, then actor, then id", () => {
  const key = (clock: number, actor: string, id: string) => ({ clock, actor, id });
  const ordered = [key(1, "b", "b"), key(2, "a", "b"), key(2, "b", "a"), key(2, "b", "b"), key(10, "a", "a")];
  expect(ordered.toReversed().sort(compareOrder)).toEqual(ordered);
});
