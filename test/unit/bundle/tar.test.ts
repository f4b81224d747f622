import { describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import fc from "fast-check";
import { utf8 } from "../../../lib/base/bytes.ts";
import { FRAME_BYTES } from "../../../lib/base/limits.ts";
import { encodeHeader, type Member, readTar, TarWriter } from "../../../lib/bundle/tar.ts";
import { chunked, pack } from "../../kit/bundle_kit.ts";
import { outside } from "../../kit/outside.ts";
import { ScratchFolder } from "../../kit/store.ts";

const LONG_THREAD = `th_${"t".repeat(128)}`;
const ID = "ab".repeat(32);

function writeTar(members: Member[]): Uint8Array[] {
  const tar = new TarWriter();
  const blocks = members.flatMap(({ path, data }) => {
    tar.add(path, data);
    return tar.take();
  });
  return [...blocks, ...tar.finish()];
}

async function readAll(tar: Uint8Array, chunk?: number, limit: number | null = 1000): Promise<Member[]> {
  return (await Array.fromAsync(readTar(chunked(tar, chunk), () => limit))).flat();
}

function refusal(tar: Uint8Array, limit: number | null = 1000): Promise<string> {
  return readAll(tar, undefined, limit).then(
    () => "read",
    (error: Error) => error.message,
  );
}

/** A tar of one member, with `change` made to its header and the checksum put right again. */
function forged(change: (header: Uint8Array) => void): Uint8Array {
  const tar = pack([{ path: "a.json", data: utf8("{}") }]);
  const header = tar.subarray(0, 512);
  change(header);
  header.fill(0x20, 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.set(utf8(`${sum.toString(8).padStart(6, "0")}\0 `), 148);
  return tar;
}

describe("writing", () => {
  test("the bytes are those of GNU tar", () => {
    const members = [
      { path: "manifest.json", data: utf8("{}") },
      { path: "empty.jsonl", data: new Uint8Array(0) },
      { path: "full.bin", data: new Uint8Array(1024).fill(7) },
      { path: `records/${LONG_THREAD}/${ID}.json`, data: utf8('{"a":1}') },
    ];
    using folder = new ScratchFolder();
    for (const { path, data } of members) {
      mkdirSync(dirname(folder.file(path)), { recursive: true });
      writeFileSync(folder.file(path), data);
    }
    const flags = [
      "--format=ustar",
      "--owner=0",
      "--group=0",
      "--numeric-owner",
      "--mtime=@0",
      "--mode=0644",
    ];
    const paths = members.map(({ path }) => path);
    outside(["tar", ...flags, "-b1", "-cf", "gnu.tar", ...paths], { cwd: folder.path });
    const gnu = readFileSync(folder.file("gnu.tar"));
    expect(Buffer.concat(writeTar(members)).equals(gnu)).toBe(true);
  });

  test("only the private key is for its owner alone", () => {
    const mode = (path: string) => Buffer.from(encodeHeader(path, 32)).toString("latin1", 100, 107);
    expect(mode("identity/private_key.bin")).toBe("0000600");
    expect(mode("identity/public_key.pem")).toBe("0000644");
  });

  test("blocks have one size, however members fall", () => {
    const members = [3_000_000, 0, 5_000_000, 512, 1].map((size, i) => ({
      path: `m${i}`,
      data: new Uint8Array(size).fill(i + 1),
    }));
    const blocks = writeTar(members);
    expect(blocks.slice(0, -1).map((block) => block.length)).toEqual([FRAME_BYTES]);
    expect(Buffer.concat(blocks).equals(pack(members))).toBe(true);
  });

  test("a path that no header can hold is an error, never a shorter path", () => {
    expect(() => encodeHeader(`${"p".repeat(156)}/name`, 0)).toThrow("does not fit a ustar header");
    expect(() => encodeHeader("n".repeat(101), 0)).toThrow("does not fit a ustar header");
  });
});

describe("reading", () => {
  test("gives what was written, in chunks of any size", async () => {
    const member = fc.record({
      path: fc.stringMatching(/^[a-z/]{1,40}\/[a-z]{1,100}$/).filter((path) => !path.startsWith("/")),
      data: fc.uint8Array({ maxLength: 1000 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(member, { maxLength: 5 }),
        fc.integer({ min: 1, max: 2000 }),
        async (members, size) => {
          const read = await readAll(pack(members), size);
          expect(read.map(({ path, data }) => [path, [...data]])).toEqual(
            members.map(({ path, data }) => [path, [...data]]),
          );
        },
      ),
      { numRuns: 50 },
    );
  });

  test("a tar cut anywhere is refused", async () => {
    const tar = pack([
      { path: "a.json", data: utf8("{}") },
      { path: "b.json", data: new Uint8Array(600) },
    ]);
    for (let end = 0; end < tar.length; end += 128) {
      expect(await refusal(tar.subarray(0, end))).toStartWith("bundle malformed: tar: ends ");
    }
  });

  test("nothing may follow the end marker, and one zero block is none", async () => {
    const tar = pack([{ path: "a.json", data: utf8("{}") }]);
    expect(await refusal(Buffer.concat([tar, new Uint8Array(512)]))).toContain("bytes behind its end marker");
    expect(await refusal(Buffer.concat([tar, new Uint8Array(1)]))).toContain("bytes behind its end marker");
    const gap = Buffer.concat([new Uint8Array(512), tar]);
    expect(await refusal(gap)).toContain("a single zero block");
  });

  test("padding must be zero", async () => {
    const tar = pack([{ path: "a.json", data: utf8("{}") }]);
    tar[1023] = 1;
    expect(await refusal(tar)).toBe("bundle malformed: a.json: its padding is not zero");
  });

  test.each([
    ["another mode", (h: Uint8Array) => h.set(utf8("0000755"), 100)],
    ["set-user-id", (h: Uint8Array) => h.set(utf8("0004644"), 100)],
    ["an owner", (h: Uint8Array) => h.set(utf8("0001750"), 108)],
    ["an owner's name", (h: Uint8Array) => h.set(utf8("root"), 265)],
    ["a time", (h: Uint8Array) => h.set(utf8("00000000001"), 136)],
    ["a link name", (h: Uint8Array) => h.set(utf8("/etc/passwd"), 157)],
    ["bytes behind the name's NUL", (h: Uint8Array) => h.set(utf8("x"), 50)],
    ["GNU magic", (h: Uint8Array) => h.set(utf8("ustar  \0"), 257)],
    ["a prefix that was not needed", (h: Uint8Array) => h.set(utf8("records"), 345)],
    ["a size with spaces", (h: Uint8Array) => h.set(utf8("          2 "), 124)],
    ["bytes behind the prefix", (h: Uint8Array) => h.set(utf8("x"), 505)],
  ])("a header with %s is refused", async (_, change) => {
    expect(await refusal(forged(change))).toMatch(/^bundle malformed: .*a\.json: its (tar header|size)/);
  });

  test.each([..."1234567xgLKSVMDANX\0"])("type %p is refused", async (type) => {
    const tar = forged((header) => header.set(utf8(type), 156));
    expect(await refusal(tar)).toStartWith("bundle malformed: a.json: is not a plain file");
  });

  test("sizes are judged before content is awaited", async () => {
    const says = (size: string) => forged((header) => header.set(Buffer.from(size, "latin1"), 124));
    expect(await refusal(says("77777777777"))).toContain("its size is not one of 0 to 1000 bytes");
    expect(await refusal(says("\x80\0\0\0\xff\0\0\0\0\0\0"))).toContain("its size is not one of");
    expect(await refusal(says("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"))).toContain(
      "its size is not one of",
    );
    expect(await refusal(says("-0000000001"))).toContain("its size is not one of");
    expect(await refusal(says("00000000000"), null)).toContain("no bundle has a member of this name");
  });

  test("a foreign name is shown without its control characters", async () => {
    const tar = forged((header) => header.set(utf8("\x1b[2J\u009b.json"), 0));
    expect(await refusal(tar, null)).toStartWith("bundle malformed: \\x1b[2J\\xc2\\x9b.json: ");
  });
});
