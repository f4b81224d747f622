import type { Redeemed } from "../lib/api/wire.ts";
import { toBase64Url } from "../lib/base/bytes.ts";
import { SplError } from "../lib/base/errors.ts";
import { systemRandom } from "../lib/base/random.ts";
import { safeText } from "../lib/base/safe_text.ts";
import { sha256 } from "../lib/base/sha256.ts";
import { savedToken, saveToken } from "../lib/client/credentials.ts";
import { InstanceClient } from "../lib/client/instance_client.ts";
import { type Address, requireConfidential, resolveAddress } from "../lib/client/target.ts";
import { NONCE_BYTES, readPairing } from "../lib/pairing/code.ts";
import { pairingPhrase } from "../lib/pairing/phrase.ts";
import { renderFacts } from "../lib/ui/facts.ts";
import { type Context, printResult } from "./_kit.ts";

/** The end that is let in: redeems the code, saves the token and makes the first call with it. */
export async function acceptPairing(ctx: Context, text: string, url: string | undefined): Promise<void> {
  const { code, address } = readOffer(ctx, text, url);
  // All that could fail here is looked at before the code is used up.
  requireFree(ctx, address);
  const nonce = toBase64Url(systemRandom(NONCE_BYTES));
  const redeemed = await new InstanceClient({ ...address, token: null }).redeem({ code, nonce });
  keep(ctx, address.url, redeemed);
  await new InstanceClient({ ...address, token: redeemed.token }).ownToken();
  const { token: _, ...facts } = redeemed;
  const phrase = pairingPhrase(code, nonce, sha256);
  await printResult(
    ctx,
    { url: address.url, ...facts, phrase },
    () => `✓ This machine is ${safeText(facts.device)} at ${address.url} now
${renderFacts([
  ["phrase", `${phrase} (the same words must show on the other screen)`],
  ["scopes", facts.scopes.join(" ")],
  ["account", facts.account],
  ["instance_did", facts.instance_did],
])}`,
  );
}

/** @throws SplError usage */
function readOffer(ctx: Context, text: string, url: string | undefined): { code: string; address: Address } {
  const offer = readPairing(text);
  if (offer === null) {
    throw new SplError("usage", "--accept needs the link or the code that spl pair has shown", {
      hint: "a code has twelve letters and digits, like 7KMP-2XQ9-T4VD",
    });
  }
  if (offer.baseUrl !== null && url !== undefined) {
    throw new SplError("usage", "the link says where it leads", { hint: "leave out --url" });
  }
  const address = resolveAddress({ url: offer.baseUrl ?? url }, ctx.env);
  if (address.socket !== null) {
    throw new SplError("usage", "this is the instance's own machine, which needs no pairing", {
      hint: "type this on the other machine, with --url and the instance's address where you have only the code",
    });
  }
  return { code: offer.code, address };
}

/** @throws SplError cleartext_refused, already_signed_in */
function requireFree(ctx: Context, address: Address): void {
  requireConfidential(address, "the token");
  if (savedToken(ctx.env, address.url) === null) return;
  throw new SplError("already_signed_in", `a token for ${address.url} is saved here already`, {
    hint: "spl token forget removes it; the code was not used",
  });
}

/** @throws SplError what `saveToken` throws, with the way out */
function keep(ctx: Context, url: string, { token, device }: Redeemed): void {
  try {
    saveToken(ctx.env, url, token);
  } catch (error) {
    if (!(error instanceof SplError)) throw error;
    const hint =
      "the code is used up: end the device on the other screen with spl device revoke NAME, and pair it anew";
    throw error.retold({ hint, detail: { device } });
  }
}
