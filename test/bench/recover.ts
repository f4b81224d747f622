import { mkdirSync } from "node:fs";
import { Box } from "../kit/box.ts";
import { splBinary } from "../kit/spl.ts";
import type { Run } from "./bench.ts";

const RECORDS = 100_000;
const ROUNDS = 3;

type RunCommand = (command: string[], env?: Record<string, string>) => Promise<Run>;
type Compare = (
  what: string,
  rounds: number,
  ours: () => Promise<Run>,
  theirs: () => Promise<Run>,
  wanted: string,
) => Promise<void>;

/**
 * From nothing but a bundle to an instance that answers with the right digest: the time that a drill calls `back in`.
 * Beside it restic, which brings the same records back as files.
 */
export async function recovering(
  run: RunCommand,
  compare: Compare,
  fill: (box: Box, records: number) => Promise<void>,
): Promise<void> {
  const restic = Bun.which("restic");
  if (restic === null) return console.log("recover: restic is not here (apt-get install restic)");
  await using box = await Box.serving();
  await fill(box, RECORDS);
  const { digest } = await box.json("status");
  const bundle = box.file("bundle.tar.zst");
  await box.ok("export", "--out", bundle);
  const files = box.file("files");
  mkdirSync(files);
  await run(["tar", "--zstd", "-xf", bundle, "-C", files]);
  const env = { RESTIC_PASSWORD: "bench", RESTIC_REPOSITORY: box.file("restic"), HOME: box.home.path };
  await run([restic, "init"], env);
  await run([restic, "backup", files], env);
  await using boxes = new AsyncDisposableStack();
  let n = 0;
  await compare(
    `recovery of ${RECORDS} records, an empty machine and a bundle against restic restore of the same files`,
    ROUNDS,
    async () => {
      const fresh = boxes.use(new Box());
      const began = performance.now();
      await fresh.serve();
      const { mb } = await run([splBinary(), "import", bundle], fresh.home.env);
      if ((await fresh.json("status")).digest !== digest) throw new Error("another digest came back");
      return { ms: performance.now() - began, mb };
    },
    () => run([restic, "restore", "latest", "--target", box.file(`restored-${n++}`)], env),
    "wanted: at most 1.0",
  );
}
