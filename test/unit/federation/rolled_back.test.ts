import { expect, test } from "bun:test";
import type { PeerRequest } from "../../../lib/federation/link.ts";
import { rollBack } from "../../../lib/instance/rollback.ts";
import { status } from "../../../lib/instance/status.ts";
import type { TestApp } from "../../kit/app.ts";
import { exported, fill, imported, newInstance } from "../../kit/instances.ts";
import { callOf, didOf, meet, openPeer, pairUp, sharedDigests, write } from "../../kit/peers.ts";
import { ScratchFolder } from "../../kit/store.ts";

/** A pull that is on its way while the instance is rolled back must not pass over what the rollback removed. */

const homeOf = ({ ctx }: TestApp) => ctx.instance.paths.home;

/** `a` has taken in 20 records of a stranger, `b` has pulled them, and both have pulled what the other holds. */
async function scene(folder: ScratchFolder, a: TestApp, b: TestApp): Promise<() => Promise<unknown>> {
  const stranger = await newInstance(folder, "stranger");
  await fill(stranger, 20);
  await stranger.close();
  await pairUp(a, b);
  await write(a, "th_talk", [{ text: "before" }]);
  await imported(homeOf(a), await exported(folder.file("stranger")), {
    forceOverwrite: true,
    keepIdentity: true,
  });
  await meet(b, a);
  await meet(a, b);
  return () => rollBack(homeOf(a), { batch: null, copies: folder.file("copies") });
}

test("the pull is refused, nothing of it stays, and the next one brings back what the peer holds", async () => {
  using folder = new ScratchFolder();
  await using a = await openPeer("a");
  await using b = await openPeer("b");
  const undo = await scene(folder, a, b);
  const whole = await sharedDigests(b);
  await write(b, "th_talk", [{ text: "on its way" }]);
  const call = callOf(a, b);
  let undone = false;
  const late = async (request: PeerRequest) => {
    const answer = await call(request);
    if (!undone) await undo();
    undone = true;
    return answer;
  };
  await expect(meet(a, b, {}, late)).rejects.toMatchObject({
    code: "sync_failed",
    message: "this instance was rolled back meanwhile",
  });
  expect(await status(a.ctx.instance)).toMatchObject({ records: 2 });
  expect(await a.ctx.instance.store.read(async (reader) => reader.peer(await didOf(b)))).toBeNull();
  expect(await sharedDigests(a)).not.toEqual(whole);
  expect(await meet(a, b)).toMatchObject({ pulled: 21 });
  expect(await sharedDigests(a)).toEqual(await sharedDigests(b));
  expect(await meet(a, b)).toMatchObject({ pulled: 0 });
});

test("a peer whose place in the feed lies behind what is gone meets all that came after, and only that", async () => {
  using folder = new ScratchFolder();
  await using a = await openPeer("a");
  await using b = await openPeer("b");
  const undo = await scene(folder, a, b);
  await undo();
  await write(a, "th_new", [{ text: "after" }]);
  expect(await meet(b, a)).toMatchObject({ pulled: 1, deduplicated: 0 });
  await write(a, "th_new", [{ text: "and on" }]);
  expect(await meet(b, a)).toMatchObject({ pulled: 1, deduplicated: 0, rounds: 1 });
});
