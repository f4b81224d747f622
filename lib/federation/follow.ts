import { concatBytes, equalBytes, utf8 } from "../base/bytes.ts";
import type { Instance } from "../instance/instance.ts";
import { linkOf } from "./apply.ts";
import { MAX_PAGE_BYTES } from "./feed.ts";
import { cursorIn, Intake, type PullOptions, PullSummary } from "./intake.ts";
import { linesOf, misbehaves, readPage } from "./page.ts";
import type { PeerCall } from "./sync.ts";

/** A sign of life comes twice within this time (`changeOrHeartbeat`). */
const STREAM_BOUNDS = { most: Number.POSITIVE_INFINITY, idleMs: 60_000, totalMs: null };
const DATA = utf8("data: ");

/**
 * Stores what the peer takes in, as it happens, until one of them ends the stream. To be called after a pull, which
 * leaves the cursor that this begins with.
 * @param onPage called when a page is stored, with what came of it and of those before that said that more comes
 * @throws SplError as `pull`
 */
export async function follow(
  instance: Instance,
  pair: { id: string; peer_did: string },
  call: PeerCall,
  options: PullOptions,
  onPage: (summary: PullSummary) => Promise<void>,
): Promise<void> {
  const intake = new Intake(instance, pair, options, new PullSummary());
  const cursor = await instance.store.read(async (reader) => {
    const link = await linkOf(instance, reader, pair.id);
    intake.begin(link);
    return cursorIn((await reader.peer(pair.peer_did))?.cursor ?? null, link.shared);
  });
  const { signal } = options;
  const answer = await call({
    method: "GET",
    path: `/federation/v1/stream${cursor === null ? "" : `?${new URLSearchParams({ after: cursor })}`}`,
    accept: "text/event-stream",
    ...(signal && { signal }),
  });
  for await (const lines of eventsOf(answer.chunks(STREAM_BOUNDS))) {
    const page = await readPage(lines);
    if (page.cursor === null) throw misbehaves("sends a page of its feed without a cursor");
    intake.summary.bytes += page.bytes;
    await intake.store(await intake.check(page), page.cursor);
    await onPage(intake.summary);
    // To be caught up with is what a poll comes to: what was refused until then says nothing of what comes later.
    if (!page.more) intake.summary = new PullSummary();
  }
}

/** The data lines of each event (HTML standard, section 9.2); comments are passed over. */
async function* eventsOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array[]> {
  let lines: Uint8Array[] = [];
  let bytes = 0;
  for await (const line of linesOf(chunks)) {
    if (line.length === 0) {
      if (lines.length > 0) yield lines;
      lines = [];
      bytes = 0;
    } else if (line.length >= DATA.length && equalBytes(line.subarray(0, DATA.length), DATA)) {
      bytes += line.length;
      if (bytes > MAX_PAGE_BYTES) throw misbehaves(`sends an event of more than ${MAX_PAGE_BYTES} bytes`);
      // Copied: the rest of the chunk it came in may be gone by the time that the event is complete.
      lines.push(concatBytes(line.subarray(DATA.length)));
    }
  }
}
