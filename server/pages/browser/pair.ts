import type { Redeemed } from "../../../lib/api/wire.ts";
import { nobleSha256 } from "../../../lib/base/sha256.noble.ts";
import { shellWord } from "../../../lib/base/text.ts";
import { NONCE_BYTES, readPairing } from "../../../lib/pairing/code.ts";
import { pairingPhrase } from "../../../lib/pairing/phrase.ts";
import { call, Refusal } from "./api.ts";
import { type Credential, canKeep, forgetCredential, loadCredential, saveCredential } from "./credential.ts";

/**
 * Redeems a code on `/pair`. Nothing happens to the code before the button is pressed. Works without a secure
 * context (plain http on a LAN), where `crypto.subtle` is missing.
 */

const form = element<HTMLFormElement>("form");
const field = element<HTMLInputElement>("code");
const button = element<HTMLButtonElement>("redeem");

form.addEventListener("submit", (event) => {
  event.preventDefault();
  redeem().catch(fail);
});
element("forget").addEventListener("click", () => {
  forgetCredential();
  start();
});
addEventListener("hashchange", takeCode);

const kept = loadCredential();
if (kept) checkKept(kept);
else start();

/** Shows the form, with the code of the link where there is one. */
function start(): void {
  show("form");
  field.focus();
  takeCode();
}

/** Takes the code out of the address and out of the history: it is a secret until it is used. */
function takeCode(): void {
  const code = location.hash.slice(1);
  if (code === "") return;
  history.replaceState(null, "", location.pathname + location.search);
  if (form.hidden) return;
  field.value = code;
  element("lead").textContent = "The link brought a code. It works once: press the button to use it.";
  button.focus();
}

async function redeem(): Promise<void> {
  tell("", false);
  const code = readPairing(field.value)?.code;
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
  busy(true);
  const redeemed = await call<Redeemed>("v1/devices/redeem", { json: { code, nonce } });
  saveCredential(redeemed);
  element("phrase").textContent = pairingPhrase(code, nonce, nobleSha256);
  busy(false);
  showDevice("done", redeemed);
  // The other end reports success after this call.
  await call("v1/token", { token: redeemed.token });
}

/** A browser that is paired already uses up no code; one whose device was revoked begins anew. */
async function checkKept(credential: Credential): Promise<void> {
  try {
    await call("v1/token", { token: credential.token });
    history.replaceState(null, "", location.pathname + location.search);
    showDevice("already", credential);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.status === 401) forgetCredential();
    start();
    tell(
      error.status === 401 ? "This browser was paired before; that pairing has ended." : error.message,
      false,
    );
  }
}

function fail(error: unknown): void {
  busy(false);
  const message = error instanceof Refusal ? error.message : `Something went wrong here: ${error}.`;
  tell(message, true);
  field.focus();
}

function busy(on: boolean): void {
  button.disabled = on;
  if (on) tell("Pairing…", false);
}

function tell(message: string, wrong: boolean): void {
  element("status").textContent = message;
  element("status").classList.toggle("wrong", wrong);
  field.setAttribute("aria-invalid", String(wrong));
}

function showDevice(section: "done" | "already", { device, scopes, instance_did }: Credential): void {
  tell("", false);
  show(section);
  const facts = element("facts");
  facts.hidden = false;
  element("device").textContent = device;
  element("scopes").textContent = scopes.join(", ");
  element("instance").textContent = instance_did;
  element("revoke").textContent = `spl device revoke ${shellWord(device)}`;
  // A screen reader goes on from here.
  element(`${section}-title`).focus();
}

function show(section: "form" | "done" | "already"): void {
  for (const id of ["form", "done", "already"]) element(id).hidden = id !== section;
  element("facts").hidden = section === "form";
}

function base64Url(bytes: Uint8Array): string {
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function element<T extends HTMLElement = HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}
