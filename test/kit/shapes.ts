import { Box } from "./box.ts";
import { ALICE } from "./instances.ts";

/** An instance of a certain shape, with what it takes to get there. */
export interface Shape {
  name: string;
  /** Which bundles to prove it with. */
  extensions: string[];
  fill(box: Box): Promise<void>;
}

const THREE = [".tar.zst", ".tar.gz", ".tar"];

function* records(n: number, threads: number, text: (i: number) => string): Generator<object> {
  for (let i = 0; i < n; i++) {
    yield {
      thread: `th_${String(i % threads).padStart(4, "0")}`,
      actor: `did:sync:user:${["alice", "bob", "carol"][i % 3]}`,
      act: i < threads ? "INTEND" : "DO",
      body: i < threads ? { goal: text(i) } : { text: text(i), n: i },
    };
  }
}

const learn = (thread: string, body: object) => ({ thread, actor: ALICE, act: "LEARN", body });

/** Every shape that the release gate takes around (spec, section 12). */
export const SHAPES: Shape[] = [
  { name: "empty", extensions: THREE, fill: async () => undefined },
  { name: "tiny", extensions: THREE, fill: (box) => box.emit(records(3, 1, (i) => `record ${i}`)) },
  { name: "forks", extensions: THREE, fill: fillForks },
  { name: "247 records in 18 threads", extensions: THREE, fill: fillJourney },
  { name: "foreign signers", extensions: THREE, fill: fillForeign },
  { name: "non-ASCII bodies", extensions: THREE, fill: (box) => box.emit(records(200, 5, oddText)) },
  {
    name: "large bodies",
    extensions: [".tar.zst", ".tar"],
    fill: (box) => box.emit(records(12, 2, (i) => `${i}-`.repeat(340_000).slice(0, 1_000_000))),
  },
  {
    name: "100,000 records",
    extensions: [".tar.zst"],
    fill: (box) =>
      box.emit(records(100_000, 500, (i) => `record ${i} ${Bun.hash(String(i)).toString(36).repeat(12)}`)),
  },
];

/** Two hosts of one identity write on apart from each other, then one takes in the other's records. */
async function fillForks(box: Box): Promise<void> {
  await box.emit(records(6, 2, (i) => `before ${i}`));
  await using twin = await Box.serving();
  await box.ok("export", "--out", box.file("to-twin.tar"));
  await twin.ok("import", box.file("to-twin.tar"));
  await twin.emit(records(6, 2, (i) => `there ${i}`));
  await box.emit(records(6, 2, (i) => `here ${i}`));
  await twin.ok("export", "--out", box.file("from-twin.tar"));
  await box.ok("import", box.file("from-twin.tar"), "--force-overwrite");
  const { forks } = await box.json<{ forks: number }>("status");
  if (forks === 0) throw new Error("the shape holds no fork");
}

/** Records that other instances signed, one of them by way of a second. */
async function fillForeign(box: Box): Promise<void> {
  await box.emit(records(20, 3, (i) => `own ${i}`));
  await using first = await Box.serving();
  await first.emit(records(20, 4, (i) => `first ${i}`));
  await using second = await Box.serving();
  await second.emit(records(20, 5, (i) => `second ${i}`));
  await first.ok("export", "--out", box.file("first.tar"));
  await second.ok("import", box.file("first.tar"), "--force-overwrite", "--keep-identity");
  await second.ok("export", "--no-identity", "--out", box.file("second.tar"));
  await box.ok("import", box.file("second.tar"), "--force-overwrite", "--keep-identity");
}

/** The numbers of the journey: 247 records, 18 threads, 1 pair, 3 grants. */
async function fillJourney(box: Box): Promise<void> {
  const grants = ["photos", "notes", "work"];
  await box.emit([
    learn("th_federation_pairs", {
      topic: "pair",
      peer_did: "did:sync:instance:box-0123456789012345678901234567890123456789",
      url: "https://box.example.com",
      state: "active",
    }),
    ...grants.map((from) => learn("th_consent", { topic: "grant", from, to: "default" })),
    learn("th_engine_config", { topic: "retention", days: 30 }),
  ]);
  await box.ok("actor", "register", ALICE, "--name", "Alice");
  await box.emit(records(241, 14, (i) => `entry ${i}`));
}

function oddText(i: number): string {
  const odd = [
    "é",
    "漢字",
    "😀",
    "\u202eabc",
    "a\u0301",
    "\u0000",
    "ﬁ",
    "\u2028",
    "\\u0041",
    '"',
    "\x7f\x1b[31m",
  ];
  return `${odd[i % odd.length]}${i}`;
}
