import { Box } from "../kit/box.ts";
import { changeBoxPair, pairBoxes, syncBox, whoIs } from "../kit/paired.ts";

/** What federation costs, between compiled instances on loopback. */

const RECORDS = 100_000;
const DIFFERENT = 12;
const DELIVERIES = 200;

/** A first sync of 100,000 records, and then how two that differ in 12 of them find these. */
export async function syncing(fill: (box: Box, records: number) => Promise<void>): Promise<void> {
  await using a = await Box.joining();
  await using b = await Box.joining();
  await fill(b, RECORDS);
  await pairBoxes(a, b);
  const [first] = (await syncBox(a)).outcomes;
  const rate = first!.pulled / (first!.took_ms / 1000);
  console.log(
    `first sync: ${first!.pulled} records in ${(first!.took_ms / 1000).toFixed(1)} s, ${rate.toFixed(0)} records/s (wanted: at least 10000)`,
  );
  await b.emit(Array.from({ length: DIFFERENT }, (_, i) => different(i)));
  await forget(a, b);
  const [second] = (await syncBox(a)).outcomes;
  console.log(
    `reconciliation: ${second!.pulled} of ${RECORDS} records found and fetched in ${second!.rounds} rounds and ${second!.bytes} bytes, ${second!.took_ms} ms (wanted: at most 4 rounds and 32768 bytes)`,
  );
}

/** How long a record takes from one instance's emit to the other's reader, over a stream. */
export async function delivering(): Promise<void> {
  await using a = await Box.joining();
  await using b = await Box.joining();
  await pairBoxes(a, b);
  await syncBox(a);
  await changeBoxPair(a, (await whoIs(b)).did, { mode: "continuous" });
  const socket = `${b.home.env.SYNCROPEL_HOME}/run/spl.sock`;
  const following = await fetch("http://localhost/v1/records?follow=true&thread=th_live", {
    unix: `${a.home.env.SYNCROPEL_HOME}/run/spl.sock`,
    headers: { accept: "application/x-ndjson" },
  });
  const reader = following.body!.getReader();
  const arrived = async (text: string) => {
    for (let seen = ""; !seen.includes(text); ) seen += new TextDecoder().decode((await reader.read()).value);
  };
  const took: number[] = [];
  for (let i = 0; i <= DELIVERIES; i++) {
    const coming = arrived(`"delivery ${i}"`);
    const began = performance.now();
    await fetch("http://localhost/v1/records", {
      unix: socket,
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ...different(i), thread: "th_live", body: { text: `delivery ${i}` } }),
    });
    await coming;
    // The first has to wait until the poller has opened the stream.
    if (i > 0) took.push(performance.now() - began);
  }
  await reader.cancel();
  took.sort((x, y) => x - y);
  const at = (share: number) => took[Math.floor(took.length * share)]!.toFixed(1);
  console.log(
    `delivery over a stream: median ${at(0.5)} ms, 95th percentile ${at(0.95)} ms (wanted: median below 100)`,
  );
}

function different(i: number): object {
  return { thread: `th_${i}`, actor: "did:sync:user:bob", act: "DO", body: { text: `difference ${i}` } };
}

/** Lets a box forget where it was with another, as a restored one has: another consent needs another cursor. */
async function forget(box: Box, other: Box): Promise<void> {
  const grant = { topic: "grant", from: "elsewhere", to: "*" };
  for (const each of [box, other]) {
    const { did } = await whoIs(each);
    await each.emit([{ thread: "th_consent", actor: did, act: "LEARN", body: grant }]);
  }
}
