import { describe, expect, test } from "bun:test";
import { alice, bob, pack, read, sourceOf, unpack, write } from "../../kit/bundle_kit.ts";
import { flipEveryBit } from "../../kit/flips.ts";
import { makeEntry } from "../../kit/records.ts";

const own = () => sourceOf(alice, [makeEntry({ body: {} }, { signer: alice })]);
const both = () =>
  sourceOf(alice, [makeEntry({}, { signer: alice }), makeEntry({ clock: 1 }, { signer: bob })]);

describe("every flipped bit", () => {
  test("of a .tar is refused", async () => {
    const tar = await write(own());
    expect(await flipEveryBit(tar, tar)).toEqual({ refused: tar.length * 8, harmless: 0, missed: [] });
  }, 60_000);

  test.each(["zst", "gz"] as const)(
    "of a .tar.%s is refused or changes nothing",
    async (compression) => {
      const file = await write(both(), compression);
      const { refused, harmless, missed } = await flipEveryBit(file, await write(both()));
      expect(missed).toEqual([]);
      expect(refused + harmless).toBe(file.length * 8);
      expect(harmless).toBeLessThan(100);
    },
    60_000,
  );
});

describe("every cut", () => {
  test("of a .tar is refused", async () => {
    const tar = await write(both());
    for (let end = 0; end < tar.length; end += 512) {
      await expect(read(tar.subarray(0, end))).rejects.toMatchObject({ code: "bundle_malformed" });
    }
    for (const end of [1, 511, 700, tar.length - 1, tar.length - 513]) {
      await expect(read(tar.subarray(0, end))).rejects.toMatchObject({ code: "bundle_malformed" });
    }
  });

  test.each(["zst", "gz"] as const)("of a .tar.%s is refused", async (compression) => {
    const file = await write(both(), compression);
    for (let end = 0; end < file.length; end++) {
      await expect(read(file.subarray(0, end))).rejects.toMatchObject({ code: "bundle_malformed" });
    }
  });

  test("before any member, with the end marker put back, is refused", async () => {
    const members = await unpack(await write(both()));
    for (let n = 0; n < members.length; n++) {
      await expect(read(pack(members.slice(0, n)))).rejects.toMatchObject({ code: "bundle_malformed" });
    }
  });
});
