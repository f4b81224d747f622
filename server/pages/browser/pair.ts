import type { Token } from "../../../lib/api/wire.ts";
import { shellWord } from "../../../lib/base/text.ts";
import { call, Refusal, told } from "./api.ts";
import { type Credential, forgetCredential, loadCredential } from "./credential.ts";
import { element } from "./dom.ts";
import { redeem } from "./redeem.ts";

/** Redeems a code on `/pair`. Nothing happens to the code before the button is pressed. */

const form = element<HTMLFormElement>("form");
const field = element<HTMLInputElement>("code");
const button = element<HTMLButtonElement>("redeem");

form.addEventListener("submit", (event) => {
  event.preventDefault();
  pair().catch(fail);
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

async function pair(): Promise<void> {
  busy(true);
  const { redeemed, phrase } = await redeem(field.value);
  element("phrase").textContent = phrase;
  busy(false);
  showDevice("done", redeemed);
  // The other end reports success after this call.
  await call("v1/token", { token: redeemed.token });
}

/** A browser that is paired already uses up no code; one whose device was revoked begins anew. */
async function checkKept(credential: Credential): Promise<void> {
  try {
    const { id } = await call<Token>("v1/token", { token: credential.token });
    history.replaceState(null, "", location.pathname + location.search);
    showDevice("already", credential, id);
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
  const message = told(error);
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

function showDevice(
  section: "done" | "already",
  { device, scopes, instance_did }: Credential,
  token = "",
): void {
  tell("", false);
  show(section);
  const facts = element("facts");
  facts.hidden = false;
  element("device").textContent = device ?? "none: a token was pasted here";
  element("scopes").textContent = scopes.join(", ");
  element("instance").textContent = instance_did;
  element("revoke").textContent =
    device === null ? `spl token revoke ${token}` : `spl device revoke ${shellWord(device)}`;
  // A screen reader goes on from here.
  element(`${section}-title`).focus();
}

function show(section: "form" | "done" | "already"): void {
  for (const id of ["form", "done", "already"]) element(id).hidden = id !== section;
  element("facts").hidden = section === "form";
}
