import { compress } from "../../lib/bundle/compression.ts";
import type { Member } from "../../lib/bundle/tar.ts";
import {
  alice,
  bob,
  chain,
  chunked,
  gather,
  MALLORY,
  pack,
  pathOf,
  replaced,
  resign,
  sourceOf,
  textOf,
  unpack,
  write,
} from "./bundle_kit.ts";
import { outside } from "./outside.ts";

/** Files that are no good bundle, each one change away from one, and what every reader of bundles says of them. */

const own = chain(alice, "th_a", 3);
const foreign = chain(bob, "th_b", 1);
const first = own[0]!;
const FIRST = pathOf(first);
const PEM = "identity/public_key.pem";

/** The bundle that the others come from. */
export const GOOD_TAR = await write(sourceOf(alice, [...own, ...foreign]));

const members = await unpack(GOOD_TAR);

const text = (content: string) => new TextEncoder().encode(content);
const without = (path: string) => members.filter((member) => member.path !== path);
const renamed = (from: string, to: string) =>
  members.map((member) => (member.path === from ? { ...member, path: to } : member));
const signed = (changed: Member[], change?: object) => pack(resign(changed, alice, change));
/** Where the header of a member lies in the tar. */
const headerOf = (path: string) => Buffer.from(GOOD_TAR).indexOf(`${path}\0`);

/** The tar with the header of a member changed and its checksum made right again. */
function reheaded(path: string, change: (header: Buffer) => void): Uint8Array {
  const copy = Buffer.from(GOOD_TAR);
  const at = headerOf(path);
  const header = copy.subarray(at, at + 512);
  change(header);
  header.fill(" ", 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return copy;
}

/** The message stands behind `bundle malformed: `. */
export const BAD_BUNDLES: [what: string, file: () => Uint8Array | Promise<Uint8Array>, message: string][] = [
  ["an empty file", () => text(""), "not a bundle: the file is empty"],
  ["a text", () => text("hello\n"), "not a bundle: the file is neither tar nor compressed with zstd or gzip"],
  [
    "a tar of other things",
    () => outside(["tar", "-cf", "-", "-C", "/etc", "passwd"]),
    "passwd: no bundle has a member of this name",
  ],
  ["the tar cut off in a member", () => GOOD_TAR.subarray(0, 5000), "tar: ends in the middle of a member"],
  [
    "the tar cut off between members",
    () => GOOD_TAR.subarray(0, 1024),
    "tar: ends without its end marker of two zero blocks",
  ],
  [
    "the tar without its end",
    () => GOOD_TAR.subarray(0, -512),
    "tar: ends without its end marker of two zero blocks",
  ],
  [
    "a byte behind the end",
    () => Buffer.concat([GOOD_TAR, text("x")]),
    "tar: has bytes behind its end marker",
  ],
  [
    "two bundles in one file",
    () => Buffer.concat([GOOD_TAR, GOOD_TAR]),
    "tar: has bytes behind its end marker",
  ],
  [
    "gzip cut off",
    async () => (await gather(compress(chunked(GOOD_TAR), "gz"))).subarray(0, -9),
    "gzip: is damaged, truncated, or has bytes behind its end",
  ],
  [
    "zstd cut off",
    async () => (await gather(compress(chunked(GOOD_TAR), "zst"))).subarray(0, -9),
    "zstd: ends in the middle of a frame",
  ],
  [
    "zstd with more behind it",
    async () => Buffer.concat([await gather(compress(chunked(GOOD_TAR), "zst")), text("more")]),
    "zstd: ends in the middle of a frame",
  ],
  [
    "one flipped bit in a record",
    () => flipped(headerOf(FIRST) + 520),
    `${FIRST}: its content does not hash to its name`,
  ],
  [
    "one flipped bit in a header",
    () => flipped(headerOf(FIRST) + 110),
    `${FIRST}: its tar header is not the one that this format writes`,
  ],
  [
    "one flipped bit in the manifest",
    () => flipped(Buffer.from(GOOD_TAR).indexOf("record_count") + 14),
    "signature verification failed",
  ],
  [
    "a manifest that a foreign key signed",
    () => pack(resign(members, MALLORY)),
    "signature verification failed",
  ],
  [
    "a manifest of a foreign key for another's DID",
    () => pack(resign(members, MALLORY, { public_key: MALLORY.key.publicKey.toHex() })),
    `manifest.json: public_key is not the key of ${alice.did}`,
  ],
  [
    "the DID of another key",
    () => signed(members, { source_did: bob.did }),
    `manifest.json: public_key is not the key of ${bob.did}`,
  ],
  [
    "an unknown bundle_version",
    () => signed(members, { bundle_version: 2 }),
    "bundle_version 2 is not known to this release; upgrade spl",
  ],
  [
    "another format",
    () => signed(members, { format: "other" }),
    "manifest.json: its format is not spl-bundle",
  ],
  [
    "a count that is wrong, signed",
    () => signed(members, { record_count: 5 }),
    "manifest.json: record_count is 5, but the members give 4",
  ],
  [
    "pairs that no record tells of, signed",
    () => signed(members, { federation_pairs: 1 }),
    "manifest.json: federation_pairs is 1, but the records hold 0",
  ],
  [
    "the manifest missing",
    () => pack(members.slice(1)),
    "manifest.json: is missing (manifest.sig is in its place)",
  ],
  [
    "the signature missing",
    () => pack(without("manifest.sig")),
    "manifest.sig: is missing (identity/did_document.json is in its place)",
  ],
  [
    "a member missing",
    () => signed(without(PEM)),
    `${PEM}: is missing (identity/private_key.bin is in its place)`,
  ],
  [
    "a record missing",
    () => signed(without(FIRST)),
    `${FIRST}: is missing (${pathOf(own[1]!)} is in its place)`,
  ],
  [
    "a member twice",
    () => signed([...members.slice(0, 5), members[4]!, ...members.slice(5)]),
    "identity/signers.jsonl: is missing (identity/private_key.bin is in its place)",
  ],
  [
    "a record twice",
    () => signed([...members, members.at(-1)!]),
    `${pathOf(foreign[0]!)}: is not where it belongs`,
  ],
  [
    "a member more",
    () => signed([...members, { path: "notes.txt", data: text("hi") }]),
    "notes.txt: no bundle has a member of this name",
  ],
  [
    "members out of order",
    () => signed([members[0]!, members[1]!, members[3]!, members[2]!, ...members.slice(4)]),
    `identity/did_document.json: is missing (${PEM} is in its place)`,
  ],
  [
    "a member renamed",
    () => signed(renamed(PEM, "identity/public_key.der")),
    "identity/public_key.der: no bundle has a member of this name",
  ],
  [
    "a member outside its place",
    () => signed(renamed(PEM, `../${PEM}`)),
    `../${PEM}: no bundle has a member of this name`,
  ],
  ["an absolute path", () => signed(renamed(PEM, `/${PEM}`)), `/${PEM}: no bundle has a member of this name`],
  [
    "a record in another folder",
    () => signed(renamed(FIRST, `records/th_z/${first.id}.json`)),
    `${FIRST}: is missing (records/th_z/${first.id}.json is in its place)`,
  ],
  [
    "a symbolic link",
    () => reheaded(PEM, (header) => header.write("2", 156)),
    `${PEM}: is not a plain file (tar type "2")`,
  ],
  [
    "a hard link",
    () => reheaded(PEM, (header) => header.write("1manifest.json", 156)),
    `${PEM}: is not a plain file (tar type "1")`,
  ],
  [
    "a device",
    () => reheaded(PEM, (header) => header.write("3", 156)),
    `${PEM}: is not a plain file (tar type "3")`,
  ],
  [
    "a mode that makes it a program",
    () => reheaded(PEM, (header) => header.write("0004755\0", 100)),
    `${PEM}: its tar header is not the one that this format writes`,
  ],
  [
    "a member that claims to be huge",
    () => reheaded(PEM, (header) => header.write("77777777777\0", 124)),
    `${PEM}: its size is not one of 0 to 65536 bytes`,
  ],
  [
    "another private key",
    () => signed(replaced(members, "identity/private_key.bin", MALLORY.key.seed)),
    "identity/private_key.bin: is not the private key of the manifest's public key",
  ],
  [
    "a record whose content is not its name",
    () => signed(replaced(members, FIRST, textOf(members, FIRST).replace("step", "stop"))),
    `${FIRST}: its content does not hash to its name`,
  ],
  [
    "a foreign signature that is not valid",
    () => forged(),
    `${pathOf(foreign[0]!)}: its signature by ${bob.did} is not valid`,
  ],
];

function flipped(at: number): Uint8Array {
  const copy = GOOD_TAR.slice();
  copy[at]! ^= 1;
  return copy;
}

async function forged(): Promise<Uint8Array> {
  const entry = { ...foreign[0]!, sig: new Uint8Array(64).fill(1) };
  return write(sourceOf(alice, [...own, entry]));
}
