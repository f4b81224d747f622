import type { PeerRow, Writer } from "../store/types.ts";

/** Changes what this host knows of syncing with a peer, which may be nothing yet. */
export async function putPeerRow(
  writer: Writer,
  did: string,
  change: (before: PeerRow) => Partial<PeerRow>,
): Promise<void> {
  const fresh: PeerRow = { did, cursor: null, lastSync: null, failures: 0, nextAt: 0, problem: null };
  const before = (await writer.peer(did)) ?? fresh;
  await writer.putPeer({ ...before, ...change(before) });
}
