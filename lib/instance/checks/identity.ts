import { isoTime } from "../../base/clock.ts";
import { certifies } from "../../identity/did.ts";
import { knownStatement, placeOf, standing } from "../steward.ts";
import { fail, type InstanceCheck, pass, warn } from "./result.ts";

export const identity: InstanceCheck = {
  name: "identity",
  run: (instance) =>
    instance.store.read(async (reader) => {
      const { did, publicKey, epoch } = await instance.signer(reader);
      return certifies(did, publicKey)
        ? pass(`${did}, epoch ${epoch}`)
        : fail(`${did} does not certify its key`, "move the home away, then spl restore a bundle");
    }),
};

/**
 * Whether this home alone speaks for its identity. A copy of its folder that runs elsewhere has its steward id and its
 * epoch, and gives itself away by another address.
 * @param url where this home's daemon is reached; null where none runs
 */
export const steward = (url: string | null): InstanceCheck => ({
  name: "steward",
  run: (instance) =>
    instance.store.read(async (reader) => {
      const signer = await instance.signer(reader);
      const { state, by } = await standing(reader, signer);
      if (state === "revoked") {
        return warn(
          `the identity was revoked (${by!.issued_at})`,
          "spl export, then spl import --keep-identity elsewhere",
        );
      }
      if (by !== null) {
        return warn(
          `the identity moved to ${placeOf(by, signer)} (${isoTime(by.epoch)})`,
          "spl serve --reclaim, if it is to come back",
        );
      }
      const known = await knownStatement(reader, signer.did);
      if (url !== null && known && known.url !== null && known.url !== plain(url)) {
        return warn(
          `a copy of this home says that the identity lives at ${known.url}`,
          "stop one of the two; spl export and spl import move an instance, a copied folder does not",
        );
      }
      return pass("this home is where the identity lives");
    }),
});

/** As statements spell an address. */
function plain(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname.replace(/\/+$/, "");
}
