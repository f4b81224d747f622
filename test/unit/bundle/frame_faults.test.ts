import { beforeAll, describe, expect, test } from "bun:test";
import { utf8 } from "../../../lib/base/bytes.ts";
import type { Member } from "../../../lib/bundle/tar.ts";
import { didDocument } from "../../../lib/identity/did.ts";
import { publicKeyPem } from "../../../lib/identity/key.ts";
import { canonicalBytes } from "../../../lib/record/canonical.ts";
import {
  alice,
  bob,
  byAlice,
  MALLORY,
  manifestOf,
  pathOf,
  read,
  replaced,
  resign,
  sourceOf,
  textOf,
  unpack,
  verdict,
  victim,
  write,
} from "../../kit/bundle_kit.ts";
import { makeEntry } from "../../kit/records.ts";

/** Broken bundles (members, manifest, identity, lists), rows A01 to A26 of the fault catalogue: each is one change away from a good one. */

let members: Member[];

beforeAll(async () => {
  members = await victim();
});

/** Signed by alice after the change, as no one but her could. */
const signed = (changed: Member[], change?: object) => verdict(resign(changed, alice, change));
const without = (path: string) => members.filter((member) => member.path !== path);
function moved(from: number, to: number): Member[] {
  const list = members.slice();
  list.splice(to, 0, ...list.splice(from, 1));
  return list;
}

test("the bundle that all of these change is good", async () => {
  expect(await verdict(members)).toBe("read");
  expect(await verdict(members, { deep: true })).toBe("read");
  expect(await signed(members)).toBe("read");
});

describe("the set of members", () => {
  test("each one missing is named", async () => {
    for (const { path } of members) {
      if (path.includes("/signatures-")) continue;
      expect(await verdict(without(path))).toStartWith(`${path}: is missing`);
    }
    expect(await verdict(without("records/th_a/signatures-000000.jsonl"))).toBe(
      `${pathOf(byAlice[0]!)}: is not where it belongs`,
    );
  });

  test("each one twice, each pair swapped", async () => {
    for (let i = 0; i < members.length; i++) {
      expect(await verdict(members.toSpliced(i, 0, members[i]!))).not.toBe("read");
      if (i > 0) expect(await verdict(moved(i, i - 1))).not.toBe("read");
    }
  });

  test("unsigned members have no place, wherever they stand", async () => {
    const extra = makeEntry({ thread: "th_a", clock: 9 }, { signer: alice });
    for (let i = 2; i <= members.length; i++) {
      const changed = members.toSpliced(i, 0, { path: pathOf(extra), data: extra.canonical });
      expect(await verdict(changed)).not.toBe("read");
    }
    const trailing = [...members, { path: "accounts/tokens.jsonl", data: utf8("") }];
    expect(await verdict(trailing)).toBe("accounts/tokens.jsonl: is not where it belongs");
  });

  test.each([
    "../x",
    "a/../../x",
    "records/th_a/../../x.json",
    "records/../manifest.json",
    "/etc/x",
    "//etc/x",
    "./manifest.json",
    "manifest.json/",
    "manifest.json.",
    "MANIFEST.JSON",
    "records\\th_a\\x.json",
    "records/th_a/x.json",
    `records/th_a/${"AB".repeat(32)}.json`,
    `records/th_a/${"ab".repeat(32)}.json.`,
    `records/th_a//${"ab".repeat(32)}.json`,
    `records/th_/${"ab".repeat(32)}.json`,
    `records/th_${"x".repeat(129)}/x.json`,
    "records/th_a/signatures-0.jsonl",
    "records/th_a/signatures-0000000.jsonl",
    "identity/instance.key",
    "notes.txt",
    "x\x1b[31m",
  ])("a member called %p", async (path) => {
    const what = await verdict([...members, { path, data: utf8("x") }]);
    expect(what).toEndWith(": no bundle has a member of this name");
    expect(what).not.toMatch(/[\x00-\x1f]/);
  });

  test("a million empty members end at the first", async () => {
    const flood = Array.from({ length: 1000 }, (_, i) => ({ path: `m${i}`, data: new Uint8Array(0) }));
    expect(await verdict([...members, ...flood])).toBe("m0: no bundle has a member of this name");
  });
});

describe("the manifest", () => {
  test("any change under the old signature", async () => {
    const { data } = members[0]!;
    const text = Buffer.from(data).toString();
    const more = text.replace('"record_count":5', '"record_count":6');
    expect(await verdict(replaced(members, "manifest.json", more))).toBe("signature verification failed");
    const sig = members[1]!.data.slice();
    sig[5]! ^= 1;
    expect(await verdict(replaced(members, "manifest.sig", sig))).toBe("signature verification failed");
    for (const length of [0, 63]) {
      const short = replaced(members, "manifest.sig", sig.subarray(0, length));
      expect(await verdict(short)).toBe("signature verification failed");
    }
  });

  test("a stranger's signature under the victim's key, a stranger's key under the victim's DID", async () => {
    expect(await verdict(resign(members, MALLORY))).toBe("signature verification failed");
    const public_key = MALLORY.key.publicKey.toHex();
    const substituted = resign(members, MALLORY, { public_key });
    expect(await verdict(substituted)).toBe(`manifest.json: public_key is not the key of ${alice.did}`);
  });

  test("another instance's DID, with or without its documents", async () => {
    const did = `manifest.json: public_key is not the key of ${bob.did}`;
    expect(await signed(members, { source_did: bob.did })).toBe(did);
    const key = { source_did: MALLORY.did, public_key: MALLORY.key.publicKey.toHex() };
    const foreign = resign(members, MALLORY, key);
    expect(await verdict(foreign)).toBe(`identity/did_document.json: is not the document of ${MALLORY.did}`);
  });

  test("a key that anyone can sign for", async () => {
    const public_key = `01${"00".repeat(31)}`;
    expect(await signed(members, { public_key })).toMatch(/^manifest.json: .*small order/);
  });

  test("a version that is not known yet", async () => {
    const expected = "bundle_version 2 is not known to this release; upgrade spl";
    expect(await signed(members, { bundle_version: 2 })).toBe(expected);
    expect(await signed(members, { bundle_version: 2, whatever: "came later" })).toBe(expected);
    expect(await signed(members, { bundle_version: "1" })).toBe(
      "manifest.json: bundle_version is not an integer",
    );
  });

  test.each<[string, object, string]>([
    ["another format", { format: "zip" }, "its format is not spl-bundle"],
    ["an unknown field", { exported_at: 1 }, 'has the unknown field "exported_at"'],
    ["a missing field", { tokens: undefined }, "lacks the field tokens"],
    ["a negative count", { record_count: -1 }, "record_count is not an integer from 0 to 1000000000"],
    ["a count that is text", { thread_count: "2" }, "thread_count is not an integer from 0 to 1000000000"],
    ["an endless count", { record_count: 2 ** 40 }, "record_count is not an integer from 0 to 1000000000"],
    ["an unknown scope", { identity: "half" }, "identity is not one of included, none, only"],
    [
      "a DID of a user",
      { source_did: "did:sync:user:alice" },
      "source_did did:sync:user:alice is not the DID of an instance",
    ],
    ["capital hex", { records_root: "AB".repeat(32) }, "records_root is not 64 lowercase hex digits"],
    ["tokens without identity", { identity: "none" }, "tokens cannot be carried without the identity"],
    ["records beside an identity alone", { identity: "only" }, "an identity alone holds no records"],
    ["a count too low", { record_count: 1 }, "record_count is 1, but there are more records"],
    ["a count too high", { record_count: 6 }, "record_count is 6, but the members give 5"],
    ["a wrong number of threads", { thread_count: 3 }, "thread_count is 3, but the members give 2"],
    [
      "another root",
      { records_root: "00".repeat(32) },
      `records_root is ${"00".repeat(32)}, but the members give`,
    ],
    [
      "another hash",
      { bundle_sha256: "00".repeat(32) },
      `bundle_sha256 is ${"00".repeat(32)}, but the members give`,
    ],
  ])("%s, well signed", async (_, change, what) => {
    const fields = Object.entries({ ...manifestOf(members), ...change });
    const data = canonicalBytes(Object.fromEntries(fields.filter(([, value]) => value !== undefined)));
    const changed = replaced(replaced(members, "manifest.json", data), "manifest.sig", alice.key.sign(data));
    expect(await verdict(changed)).toStartWith(`manifest.json: ${what}`);
  });

  test.each<[string, (text: string) => string]>([
    ["white space", (text) => text.replace(":", ": ")],
    ["a line feed at the end", (text) => `${text}\n`],
    [
      "keys in another order",
      (text) => JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(text)).reverse())),
    ],
    ["a key twice", (text) => text.replace("{", '{"bundle_sha256":"",')],
    ["no object", () => "[]"],
    ["null", () => "null"],
    ["nothing", () => ""],
    ["damaged UTF-8", (text) => text.replace("spl-bundle", "spl-\xff")],
  ])("%s, well signed", async (_, change) => {
    const data = Buffer.from(change(textOf(members, "manifest.json")), "latin1");
    const changed = replaced(replaced(members, "manifest.json", data), "manifest.sig", alice.key.sign(data));
    expect(await verdict(changed)).toStartWith("manifest.json: ");
  });
});

describe("the identity", () => {
  test("another's document, key or private key", async () => {
    const document = canonicalBytes(didDocument(bob.did, bob.key.publicKey));
    const is = (path: string, content: string | Uint8Array) => signed(replaced(members, path, content));
    const documentFault = `identity/did_document.json: is not the document of ${alice.did}`;
    expect(await is("identity/did_document.json", document)).toBe(documentFault);
    expect(await is("identity/did_document.json", "{}")).toBe(documentFault);
    const spaced = textOf(members, "identity/did_document.json").replace("{", "{ ");
    expect(await is("identity/did_document.json", spaced)).toBe(documentFault);
    const pem = publicKeyPem(bob.key.publicKey);
    expect(await is("identity/public_key.pem", pem)).toBe(
      "identity/public_key.pem: is not the manifest's public key",
    );
    for (const seed of [bob.key.seed, alice.key.seed.subarray(0, 31), new Uint8Array(0)]) {
      const fault = "identity/private_key.bin: is not the private key of the manifest's public key";
      expect(await is("identity/private_key.bin", seed)).toBe(fault);
    }
  });

  test("a private key in a bundle that says it has none, and the reverse", async () => {
    const bare = await unpack(await write(sourceOf(alice, byAlice, { identity: "none" })));
    const smuggled = bare.toSpliced(4, 0, { path: "identity/private_key.bin", data: alice.key.seed });
    expect(await verdict(resign(smuggled, alice))).toBe(
      "identity/signers.jsonl: is missing (identity/private_key.bin is in its place)",
    );
    expect(await verdict(resign(bare, alice, { identity: "included" }))).toStartWith(
      "identity/private_key.bin: is missing",
    );
  });
});

describe("the lists", () => {
  const key = bob.key.publicKey.toHex();
  const signer = (did: string, public_key = key) => `{"did":"${did}","public_key":"${public_key}"}\n`;
  test.each<[string, string, string]>([
    [
      "another's key",
      signer(bob.did, MALLORY.key.publicKey.toHex()),
      `public_key is not the key of ${bob.did}`,
    ],
    [
      "a made-up instance",
      signer("did:sync:instance:bob"),
      "public_key is not the key of did:sync:instance:bob",
    ],
    [
      "the bundle's own identity",
      signer(alice.did, alice.key.publicKey.toHex()),
      "lists the bundle's own identity",
    ],
    ["a signer twice", signer(bob.did).repeat(2), "not in ascending order, each once"],
    ["no DID", signer("bob"), '"bob" is not a DID'],
    ["half a key", signer(bob.did, key.slice(2)), "public_key is not 64 lowercase hex digits"],
    ["a small-order key", signer("did:web:example.org", "00".repeat(32)), "small order"],
    ["no line feed at the end", signer(bob.did).trimEnd(), "its last line has no end"],
    ["an empty line", `\n${signer(bob.did)}`, "invalid JSON"],
    ["white space", signer(bob.did).replace(":", ": "), "invalid JSON"],
    [
      "another field",
      signer(bob.did).replace('"did"', '"admin":true,"did"'),
      'has the unknown field "admin"',
    ],
    ["an array", "[]\n", "is no object"],
    ["none", "", `${bob.did} is not among the signers`],
  ])("signers: %s", async (_, content, what) => {
    expect(await signed(replaced(members, "identity/signers.jsonl", content))).toContain(what);
  });

  test("a signer whose DID does not certify its key is believed when its signatures are right", async () => {
    const web = { ...bob, did: "did:web:peer.example" };
    const entries = [makeEntry({ body: { via: "web" } }, { signer: web })];
    const file = await write(sourceOf(alice, entries, { others: [web] }));
    expect((await read(file)).at(-1)!.kind).toBe("end");
  });

  const account = (name: string, scopes = "[]", actors = "[]") =>
    `{"actors":${actors},"name":${JSON.stringify(name)},"scopes":${scopes}}\n`;
  test.each<[string, string, string]>([
    ["out of order", account("ci") + account("a"), "not in ascending order"],
    ["a name twice", account("ci").repeat(2), "not in ascending order"],
    ["no name", account(""), "name is not a text of 1 to 256 characters"],
    ["control characters", account("ci\u001b[2J"), "name is not a text"],
    ["scopes out of order", account("ci", '["b","a"]'), "scopes is not an ascending list"],
    ["scopes that are no texts", account("ci", "[1]"), "scopes is not an ascending list"],
    ["scopes that are no list", account("ci", '"admin"'), "scopes is not an ascending list"],
    ["an actor that is no DID", account("ci", "[]", '["alice"]'), '"alice" is not a DID'],
    ["another account than the tokens'", account("other"), 'a token belongs to "ci", which is no account'],
  ])("accounts: %s", async (_, content, what) => {
    expect(await signed(replaced(members, "accounts/service_accounts.jsonl", content))).toContain(what);
  });

  const token = (hash: string, rest = '"account":"ci","description":"","expires_at":null') =>
    `{${rest},"token_sha256":"${hash}"}\n`;
  test.each<[string, string, string]>([
    [
      "a token instead of its hash",
      token("spl_prod_ci_secret"),
      "token_sha256 is not 64 lowercase hex digits",
    ],
    ["out of order", token("bb".repeat(32)) + token("aa".repeat(32)), "not in ascending order"],
    [
      "an expiry that is text",
      token("aa".repeat(32), '"account":"ci","description":"","expires_at":"soon"'),
      "expires_at is not an integer",
    ],
  ])("tokens: %s", async (_, content, what) => {
    expect(await signed(replaced(members, "accounts/tokens.jsonl", content))).toContain(what);
  });

  test("tokens that the manifest does not announce", async () => {
    expect(await signed(members, { tokens: "none" })).toBe("accounts/tokens.jsonl: is not where it belongs");
  });
});
