import { expect, test } from "bun:test";
import { InstanceFolds } from "../../../lib/folds/reserved.ts";
import type { Entry, JsonObject } from "../../../lib/record/types.ts";
import { makeEntry, testSigner } from "../../kit/records.ts";

const [own, other] = [testSigner(1), testSigner(2)];

function record(clock: number, body: JsonObject, signer = own): Entry {
  return makeEntry({ thread: "th_devices", act: "LEARN", clock, body }, { signer });
}

const phone = (clock: number, more: JsonObject = {}) =>
  record(clock, { topic: "device", device: "phone", scopes: ["records:read"], ...more });
const revoked = (clock: number, signer = own) =>
  record(clock, { topic: "device-revoked", device: "phone" }, signer);

function fold(...entries: Entry[]) {
  const folds = new InstanceFolds(own.did);
  folds.add(entries);
  return folds.devices.all();
}

test("the last pairing of a name counts, with what it allows", () => {
  const [first, second] = [phone(0), phone(1, { scopes: ["records:write"], actors: ["did:x:y"] })];
  const tablet = record(2, { topic: "device", device: "tablet", scopes: [] });
  expect(fold(first, second, tablet)).toEqual([
    { id: second.id, device: "phone", scopes: ["records:write"], actors: ["did:x:y"], revoked: false },
    { id: tablet.id, device: "tablet", scopes: [], actors: [], revoked: false },
  ]);
});

test("a revocation holds against every record up to its clock, in whatever order they come", () => {
  for (const entries of [
    [phone(0), revoked(1)],
    [revoked(1), phone(0)],
    [revoked(1), phone(1)],
    [phone(0), revoked(3), phone(2)],
    [revoked(3), revoked(1), phone(2)],
  ]) {
    expect(fold(...entries)).toMatchObject([{ device: "phone", revoked: true }]);
  }
});

test("a device that is paired anew after its revocation is back", () => {
  expect(fold(phone(0), revoked(1), phone(2))).toMatchObject([{ device: "phone", revoked: false }]);
});

test("only what the instance itself signed counts", () => {
  const foreign = record(0, { topic: "device", device: "evil", scopes: ["admin"] }, other);
  expect(fold(foreign, phone(0), revoked(1, other))).toMatchObject([{ device: "phone", revoked: false }]);
});

test("bodies of another shape begin nothing, and nothing large is kept", () => {
  const long = "x".repeat(257);
  for (const body of [
    { device: "phone", scopes: [] },
    { topic: "device", device: 7, scopes: [] },
    { topic: "device", device: "phone" },
    { topic: "device", device: "phone", scopes: "admin" },
    { topic: "device", device: "phone", scopes: [7] },
    { topic: "device", device: "phone", scopes: [long] },
    { topic: "device", device: long, scopes: [] },
    { topic: "device", device: "phone", scopes: Array.from({ length: 65 }, () => "admin") },
  ] as JsonObject[]) {
    expect({ body, devices: fold(record(0, body)) }).toEqual({ body, devices: [] });
  }
});
