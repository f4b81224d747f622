import { nextTurn } from "../base/turn.ts";
import { type Trust, TrustFold } from "../folds/trust.ts";
import type { Instance } from "./instance.ts";
import { foldReserved } from "./reserved.ts";

/** Trust by actor and domain, of all or those asked for; an actor without outcomes is not listed. */
export function listTrust(
  instance: Instance,
  { actor, domain }: { actor?: string | undefined; domain?: string | undefined },
): Promise<Trust[]> {
  return instance.store.read(async (reader) => {
    const { did, origins } = await foldReserved(instance, reader);
    const fold = new TrustFold(did, origins, instance.ports.clock());
    for await (const entries of reader.entries()) {
      for (const entry of entries) fold.add(entry);
      await nextTurn();
    }
    return fold
      .result()
      .filter((each) => (actor ?? each.actor) === each.actor && (domain ?? each.domain) === each.domain);
  });
}
