/**
 * Two seeded instances to try things on, until Ctrl-C: `bun run dev`. Both know each other as a pair, have this
 * repository's history to show, and take requests from this machine without a token.
 */
import { join } from "node:path";
import { Box } from "./box.ts";
import { historyLines } from "./history.ts";

const repository = join(import.meta.dir, "..", "..");

async function start(name: string): Promise<Box> {
  const box = await Box.serving("--insecure-localhost", "--name", name);
  await Bun.write(box.file("history.ndjson"), await historyLines(repository));
  await box.ok("emit", box.file("history.ndjson"));
  return box;
}

await using left = await start("left");
await using right = await start("right");
const stopped = Promise.withResolvers<void>();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stopped.resolve());
for (const [box, peer] of [
  [left, right],
  [right, left],
] as const) {
  const { instance_did: peer_did, url } = await peer.json("status");
  await box.emit([
    { thread: "th_federation_pairs", act: "LEARN", body: { topic: "pair", peer_did, url, state: "active" } },
  ]);
  const status = await box.json("status");
  console.log(`${status.url}  ${status.instance_did}\n  export SYNCROPEL_HOME=${status.home}`);
}
console.log("Ctrl-C ends both and removes them.");
await stopped.promise;
