import { expect, test } from "bun:test";
import { ChunkReceiver, ChunkSender, type Flow } from "../../server/bundle_wire.ts";

const MIB = 1024 * 1024;

/** Both ends of one direction, over a real channel between event loop turns. */
function connected() {
  const { port1, port2 } = new MessageChannel();
  const posted = { bytes: 0, messages: 0 };
  const sender = new ChunkSender((message, transfer = []) => {
    if (message.kind === "chunk") posted.bytes += message.bytes.length;
    posted.messages++;
    port1.postMessage(message, transfer as never);
  });
  const receiver = new ChunkReceiver((message) => port2.postMessage(message));
  port2.onmessage = ({ data }: { data: Flow }) => {
    if (data.kind === "chunk") receiver.push(data.bytes);
    else receiver.end();
  };
  port1.onmessage = ({ data }: { data: Flow }) => {
    if (data.kind === "taken") sender.taken(data.bytes);
  };
  return { sender, receiver, posted, [Symbol.dispose]: () => port1.close() };
}

async function sendAll(sender: ChunkSender, chunks: Uint8Array[]): Promise<void> {
  for (const chunk of chunks) await sender.send(chunk);
  await sender.end();
}

test("bytes arrive as they were sent, whatever the chunks", async () => {
  using channel = connected();
  const chunks = [0, 1, 511, 70_000, 3 * MIB, 5, 2 * MIB + 1].map((size) =>
    Uint8Array.from({ length: size }, (_, i) => (i * 31 + size) % 251),
  );
  const sending = sendAll(channel.sender, chunks);
  const received = Buffer.concat(await Array.fromAsync(channel.receiver));
  await sending;
  expect(received.equals(Buffer.concat(chunks))).toBe(true);
});

test("small chunks travel together", async () => {
  using channel = connected();
  const sending = sendAll(
    channel.sender,
    Array.from({ length: 20_000 }, () => new Uint8Array(100)),
  );
  await Array.fromAsync(channel.receiver);
  await sending;
  expect(channel.posted).toEqual({ bytes: 2_000_000, messages: 5 });
});

test("a reader that does not take holds the sender back", async () => {
  using channel = connected();
  const sending = sendAll(
    channel.sender,
    Array.from({ length: 64 }, () => new Uint8Array(MIB)),
  );
  const reader = channel.receiver[Symbol.asyncIterator]();
  await reader.next();
  for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate);
  expect(channel.posted.bytes).toBeLessThan(6 * MIB);
  let rest = 0;
  for (let part = await reader.next(); !part.done; part = await reader.next()) rest += part.value.length;
  await sending;
  expect(channel.posted.bytes).toBe(64 * MIB);
  expect(rest).toBeGreaterThan(63 * MIB);
});

test("a sender that waits learns that the other side is gone", async () => {
  using channel = connected();
  const sending = sendAll(
    channel.sender,
    Array.from({ length: 64 }, () => new Uint8Array(MIB)),
  );
  channel.sender.fail(new Error("gone"));
  await expect(sending).rejects.toThrow("gone");
});

test("a sender that has room learns with its next bytes that the other side is gone", async () => {
  using channel = connected();
  await channel.sender.send(new Uint8Array(MIB));
  channel.sender.taken(MIB);
  channel.sender.fail(new Error("gone"));
  await expect(channel.sender.send(new Uint8Array(MIB))).rejects.toThrow("gone");
});

test("a reader meets an error at once, before what is still queued", async () => {
  using channel = connected();
  channel.receiver.push(new Uint8Array(10));
  channel.receiver.end(new Error("cut"));
  channel.receiver.end();
  await expect(Array.fromAsync(channel.receiver)).rejects.toThrow("cut");
});
