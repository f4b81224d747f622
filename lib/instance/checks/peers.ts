import { counted } from "../../base/text.ts";
import { listPairs, type PairView } from "../federation.ts";
import { type InstanceCheck, pass, type Result, warn } from "./result.ts";

/** A pair that syncs by itself and has not for so long is told, although nothing failed: no daemon runs. */
const QUIET_MS = 7 * 24 * 60 * 60 * 1000;

export const peers: InstanceCheck = {
  name: "peers",
  run: async (instance) => checkPeers(await listPairs(instance), instance.ports.clock()),
};

function checkPeers(pairs: PairView[], now: number): Result {
  const active = pairs.filter(({ state }) => state === "active");
  const degraded = active.filter(({ problem }) => problem !== null);
  const [first] = degraded;
  if (first) {
    const { id, peer_did, problem, last_sync } = first;
    return warn(
      `${degraded.length} of ${counted(pairs.length, "pair")} degraded, first ${peer_did}, ${synced(last_sync)}: ${problem}`,
      `spl federation show ${id.slice(0, 12)}`,
    );
  }
  const asking = pairs.filter(({ approval }) => approval === "here");
  if (asking.length > 0) {
    return warn(
      `${counted(asking.length, "instance")} asking to be paired`,
      "spl federation list, then spl federation approve or spl federation reject",
    );
  }
  const quiet = active.filter(
    ({ mode, last_sync }) =>
      mode !== "on-demand" && last_sync !== null && now - Date.parse(last_sync) > QUIET_MS,
  );
  if (quiet[0]) {
    return warn(
      `${quiet.length} of ${counted(pairs.length, "pair")} not synced for 7 days, first ${quiet[0].peer_did}, ${synced(quiet[0].last_sync)}`,
      "spl serve --daemon, then spl sync",
    );
  }
  return pass(pairs.length === 0 ? "no pairs" : `${counted(pairs.length, "pair")}, none degraded`);
}

const synced = (last: string | null): string => (last === null ? "never synced" : `last synced ${last}`);
