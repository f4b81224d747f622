import { beforeAll, describe, expect, test } from "bun:test";
import { utf8 } from "../../../lib/base/bytes.ts";
import { compress } from "../../../lib/bundle/compression.ts";
import type { Member } from "../../../lib/bundle/tar.ts";
import { recordId } from "../../../lib/record/id.ts";
import type { Entry } from "../../../lib/record/types.ts";
import {
  alice,
  bob,
  byAlice,
  byBob,
  chain,
  chunked,
  gather,
  MALLORY,
  pack,
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

/** Broken bundles (records, groups, signatures, compression), rows A01 to A26 of the fault catalogue: each is one change away from a good one. */

const SIGNATURES = "records/th_a/signatures-000000.jsonl";
let members: Member[];

beforeAll(async () => {
  members = await victim();
});

/** Signed by alice after the change, as no one but her could. */
const signed = (changed: Member[], change?: object) => verdict(resign(changed, alice, change));
/** A bundle that alice's own, broken program wrote from these records. */
async function madeOf(entries: Entry[], spoil: (members: Member[]) => Member[]): Promise<string> {
  return signed(spoil(await unpack(await write(sourceOf(alice, entries)))));
}
const lineOf = ({ id, signer, sig }: Entry) =>
  `{"id":"${id}","judged_by":null,"sig":"${Buffer.from(sig).toString("base64url")}","signer":"${signer}"}\n`;

describe("the records", () => {
  const first = byAlice[0]!;
  test("content that is not its name's", async () => {
    const forged = Buffer.from(first.canonical).toString().replace("step", "stop");
    expect(await signed(replaced(members, pathOf(first), forged))).toBe(
      `${pathOf(first)}: its content does not hash to its name`,
    );
  });

  test.each<[string, (text: string) => string, string]>([
    ["white space", (text) => text.replace(":", ": "), "invalid JSON: not the canonical form"],
    ["a missing field", (text) => text.replace('"clock":0,', ""), "clock is missing"],
    ["an unknown field", (text) => text.replace("{", '{"aa":1,'), 'unknown field "aa"'],
    ["another act", (text) => text.replace("INTEND", "DESTROY"), "act must be one of"],
    ["no JSON at all", () => "\x00\x01", "invalid JSON"],
    ["damaged UTF-8", (text) => text.replace("step", "\xff"), "invalid JSON: not UTF-8"],
  ])("%s, under the right hash", async (_, change, what) => {
    const data = new Uint8Array(Buffer.from(change(Buffer.from(first.canonical).toString()), "latin1"));
    const id = recordId(data);
    const lines = textOf(members, SIGNATURES).replace(first.id, id);
    const changed = replaced(members, SIGNATURES, lines).map((member) =>
      member.path === pathOf(first) ? { path: pathOf({ ...first, id }), data } : member,
    );
    expect(await signed(changed)).toStartWith(`${pathOf({ ...first, id })}: ${what}`);
  });

  test("a record in another thread's folder", async () => {
    const stray = makeEntry({ thread: "th_z", clock: 5 }, { signer: alice });
    const as = { ...stray, thread: "th_a" };
    const what = await madeOf([...byAlice], (list) => [
      ...replaced(list, SIGNATURES, byAlice.map(lineOf).join("") + lineOf(stray)),
      { path: pathOf(as), data: stray.canonical },
    ]);
    expect(what).toBe(`${pathOf(as)}: its record belongs to th_z`);
  });

  test("records, groups and threads out of order", async () => {
    const [a, b, c] = byAlice as [Entry, Entry, Entry];
    const disordered = await madeOf(byAlice, (list) => {
      const at = list.findIndex(({ path }) => path === pathOf(a));
      const lines = replaced(list, SIGNATURES, [b, a, c].map(lineOf).join(""));
      return lines.toSpliced(at, 2, lines[at + 1]!, lines[at]!);
    });
    expect(disordered).toBe(`${pathOf(a)}: is not in canonical order`);
    const swapped = await madeOf([...byAlice, ...chain(alice, "th_b", 1)], (list) => {
      const at = list.findIndex(({ path }) => path.startsWith("records/"));
      return [...list.slice(0, at), ...list.slice(at + 4), ...list.slice(at, at + 4)];
    });
    expect(swapped).toBe("records/th_a/signatures-000000.jsonl: is out of order");
    const renumbered = members.map((member) =>
      member.path === SIGNATURES ? { ...member, path: "records/th_a/signatures-000001.jsonl" } : member,
    );
    expect(await signed(renumbered)).toBe("records/th_a/signatures-000001.jsonl: is out of order");
  });

  test("the same record twice", async () => {
    const twice = await madeOf(byAlice.slice(0, 1), (list) => [
      ...replaced(list, SIGNATURES, lineOf(first).repeat(2)),
      { path: pathOf(first), data: first.canonical },
    ]);
    expect(twice).toBe(`${pathOf(first)}: is not in canonical order`);
  });

  test("groups cut elsewhere than the rule says", async () => {
    const early = await madeOf(byAlice, (list) => {
      const cut = replaced(list, SIGNATURES, byAlice.slice(0, 2).map(lineOf).join(""));
      const next = { path: "records/th_a/signatures-000001.jsonl", data: utf8(lineOf(byAlice[2]!)) };
      return cut.toSpliced(-1, 0, next);
    });
    expect(early).toBe("records/th_a/signatures-000001.jsonl: its group does not end where it has to");
    const bodies = Array.from({ length: 5 }, (_, clock) => ({
      clock,
      body: { text: "x".repeat(1_000_000) },
    }));
    const heavy = bodies.map((fields) => makeEntry(fields, { signer: alice }));
    const late = await madeOf(heavy, (list) => {
      const lines = replaced(list, SIGNATURES, heavy.map(lineOf).join(""));
      return lines.filter(({ path }) => !path.endsWith("signatures-000001.jsonl"));
    });
    expect(late).toBe(`${SIGNATURES}: its group does not end where it has to`);
  });

  test("a clock that jumps", async () => {
    const far = makeEntry({ clock: 2 ** 32 }, { signer: alice });
    const farther = makeEntry({ clock: 2 ** 32 + 1 }, { signer: alice });
    const same = (list: Member[]) => list;
    expect(await madeOf([far], same)).toBe("read");
    expect(await madeOf([far, makeEntry({ clock: 2 ** 33 }, { signer: alice })], same)).toBe("read");
    expect(await madeOf([farther], same)).toBe(
      `${pathOf(farther)}: its clock 4294967297 jumps more than 2^32 ahead`,
    );
    const ahead = makeEntry({ clock: 2 ** 33 + 1 }, { signer: alice });
    expect(await madeOf([far, ahead], same)).toStartWith(`${pathOf(ahead)}: its clock`);
  });

  test.each<[string, (lines: string) => string, string]>([
    ["a line too few", (lines) => lines.slice(lines.indexOf("\n") + 1), "is missing"],
    ["a line too many", (lines) => lines + lineOf(byBob[0]!), "is missing"],
    ["lines swapped", (lines) => `${lines.trimEnd().split("\n").reverse().join("\n")}\n`, "is missing"],
    ["none", () => "", "holds 0 lines instead of 1 to 4096"],
    ["no line feed at the end", (lines) => lines.trimEnd(), "its last line has no end"],
    ["carriage returns", (lines) => lines.replaceAll("\n", "\r\n"), "line 1 is not a signature line"],
    ["padding", (lines) => lines.replace('","signer', '==","signer'), "line 1 is not a signature line"],
    ["white space", (lines) => lines.replace(":", ": "), "line 1 is not a signature line"],
    ["an escaped letter", (lines) => lines.replace("did:", "\\u0064id:"), "line 1 is not a signature line"],
    ["another field", (lines) => lines.replace("{", '{"a":1,'), "line 1 is not a signature line"],
    ["an unknown signer", (lines) => lines.replaceAll(alice.did, MALLORY.did), "is not among the signers"],
  ])("signature lines with %s", async (_, change, what) => {
    expect(await signed(replaced(members, SIGNATURES, change(textOf(members, SIGNATURES))))).toContain(what);
  });

  test("a signature that ends in loose bits has two spellings, and one is taken", async () => {
    const lines = textOf(members, SIGNATURES);
    const [, last] = /"sig":"[^"]{85}(.)"/.exec(lines)!;
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const twin = alphabet[alphabet.indexOf(last!) + 1]!;
    const respelled = lines.replace(`${last}","signer`, `${twin}","signer`);
    expect(await signed(replaced(members, SIGNATURES, respelled))).toBe(
      `${SIGNATURES}: line 1 is not a signature line`,
    );
  });
});

describe("record signatures", () => {
  const foreign = byBob[1]!;
  const own = byAlice[1]!;
  const unsigned = (entry: Entry): Entry => ({ ...entry, sig: new Uint8Array(64).fill(1) });

  test("every foreign one is checked, whoever signed the manifest", async () => {
    const forged = sourceOf(alice, [...byAlice, byBob[0]!, unsigned(foreign)]);
    const what = await verdict(await unpack(await write(forged)));
    expect(what).toBe(`${pathOf(foreign)}: its signature by ${bob.did} is not valid`);
  });

  test("judged_by and signer are part of what is signed", async () => {
    const judged = { ...foreign, judged_by: own.id };
    const renamed = { ...own, signer: bob.did };
    for (const changed of [judged, renamed]) {
      const list = await unpack(await write(sourceOf(alice, [changed])));
      expect(await verdict(list)).toBe(`${pathOf(changed)}: its signature by ${bob.did} is not valid`);
    }
  });

  test("the manifest vouches for the bundle's own, unless all are to be checked", async () => {
    const list = await unpack(await write(sourceOf(alice, [byAlice[0]!, unsigned(own)])));
    expect(await verdict(list)).toBe("read");
    expect(await verdict(list, { deep: true })).toBe(
      `${pathOf(own)}: its signature by ${alice.did} is not valid`,
    );
  });
});

describe("compressed", () => {
  const zst = async (list: Member[]) => gather(compress(chunked(pack(list)), "zst"));
  const refusal = async (file: Uint8Array) => {
    await expect(read(file)).rejects.toMatchObject({ code: "bundle_malformed" });
  };

  test("faults are found behind the compression as well", async () => {
    await expect(read(await zst(members.filter(({ path }) => path !== "manifest.sig")))).rejects.toThrow(
      "manifest.sig: is missing",
    );
  });

  test("a second tar, a second frame, skippable frames, bytes behind", async () => {
    const file = await zst(members);
    const skippable = Uint8Array.from([0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 9]);
    await refusal(Buffer.concat([file, file]));
    await refusal(Buffer.concat([file, Bun.zstdCompressSync(new Uint8Array(512))]));
    await refusal(Buffer.concat([file, skippable]));
    await refusal(Buffer.concat([skippable, file]));
    await refusal(Buffer.concat([file, utf8("more")]));
    await refusal(file.subarray(0, -1));
  });

  test("a file that changes its mind: one kind inside another", async () => {
    await refusal(await gather(compress(chunked(await zst(members)), "gz")));
    await refusal(await gather(compress(chunked(await zst(members)), "zst")));
  });
});
