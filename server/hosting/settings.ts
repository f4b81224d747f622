import { SplError } from "../../lib/base/errors.ts";
import { type AddressPolicy, parseNetworks } from "../../lib/federation/addresses.ts";

/** Networks of a flag's comma-separated list. @throws SplError usage */
export function networksOf(list: string | undefined, flag: string): AddressPolicy["networks"] {
  const texts = (list ?? "")
    .split(",")
    .map((text) => text.trim())
    .filter((text) => text !== "");
  try {
    return parseNetworks(texts);
  } catch {
    throw new SplError("usage", `${flag} ${list} is no list of networks`, {
      hint: "separate them with commas, as 10.0.0.0/8,fd00::/8",
    });
  }
}
