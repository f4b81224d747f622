/**
 * Two seeded, paired instances to try things on, until Ctrl-C: `bun run dev`. Both have this repository's history to
 * show, follow each other's changes as they happen, and take requests from this machine without a token.
 */
import { join } from "node:path";
import { Box } from "./box.ts";
import { historyLines } from "./history.ts";

const repository = join(import.meta.dir, "..", "..");

await using left = await Box.joining("--insecure-localhost", "--name", "left");
await using right = await Box.joining("--insecure-localhost", "--name", "right");
const stopped = Promise.withResolvers<void>();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stopped.resolve());

await Bun.write(left.file("history.ndjson"), await historyLines(repository));
await left.ok("emit", left.file("history.ndjson"));
const { url: rightUrl } = await right.json<{ url: string }>("status");
await left.ok("federation", "pair", rightUrl);
const [request] = await right.json<[{ id: string }]>("federation", "list");
await right.ok("federation", "approve", request.id);
for (const box of [left, right]) {
  const [pair] = await box.json<[{ id: string }]>("federation", "list");
  await box.ok("federation", "set-mode", pair.id, "continuous");
  await box.ok("sync");
  const status = await box.json("status");
  console.log(`${status.url}  ${status.instance_did}\n  export SYNCROPEL_HOME=${status.home}`);
}
console.log("Ctrl-C ends both and removes them.");
await stopped.promise;
