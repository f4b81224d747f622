import type { Redeemed } from "../../../lib/api/wire.ts";
import { nobleSha256 } from "../../../lib/base/sha256.noble.ts";
import { NONCE_BYTES, readPairing } from "../../../lib/pairing/code.ts";
import { pairingPhrase } from "../../../lib/pairing/phrase.ts";
import { call, Refusal } from "./api.ts";
import { canKeep, saveCredential } from "./credential.ts";

/**
 * Redeems the code in what was typed or pasted, and keeps what it brings. Works without a secure context (plain http on a
 * LAN), where `crypto.subtle` is missing.
 * @returns the credential, and the words that both ends show
 * @throws Refusal; the code is unused when it was none, or nothing can be kept here
 */
export async function redeem(typed: string): Promise<{ redeemed: Redeemed; phrase: string }> {
  const code = readPairing(typed)?.code;
  if (code === undefined) {
    throw new Refusal(
      0,
      "A code has twelve letters and digits, like 7KMP-2XQ9-T4VD. Compare it with the screen.",
    );
  }
  if (!canKeep()) {
    throw new Refusal(0, "This browser keeps nothing for this page (private mode?). The code was not used.");
  }
  const nonce = base64Url(crypto.getRandomValues(new Uint8Array(NONCE_BYTES)));
  const redeemed = await call<Redeemed>("v1/devices/redeem", { json: { code, nonce } });
  saveCredential(redeemed);
  return { redeemed, phrase: pairingPhrase(code, nonce, nobleSha256) };
}

function base64Url(bytes: Uint8Array): string {
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
