import type { InstanceView } from "../../../lib/hosting/view.ts";
import { call, told } from "./api.ts";
import { element } from "./dom.ts";

/** The first-run page: buttons that copy, and the one that makes a new link. The rest works without script. */

for (const button of document.querySelectorAll<HTMLButtonElement>("[data-copy]")) {
  button.addEventListener("click", () => copy(button));
}
document.querySelector<HTMLButtonElement>("#regenerate")?.addEventListener("click", ({ currentTarget }) => {
  regenerate(currentTarget as HTMLButtonElement);
});

// The token is in the first answer only, and that of a second press would take its place.
document.querySelector("form")?.addEventListener("submit", ({ currentTarget }) => press(currentTarget, true));
addEventListener("pageshow", () => press(document.querySelector("form"), false));

function press(form: EventTarget | null, pressed: boolean): void {
  for (const button of (form as HTMLFormElement | null)?.querySelectorAll("button") ?? [])
    button.disabled = pressed;
}

async function copy(button: HTMLButtonElement): Promise<void> {
  const source = element(button.dataset.copy!);
  try {
    await navigator.clipboard.writeText(source.textContent ?? "");
    button.textContent = "✓ Copied";
    tell("Copied.", false);
  } catch {
    // A browser that forbids it, or a page without TLS: selected, it is one key away.
    getSelection()?.selectAllChildren(source);
    tell("Selected: copy it with your keyboard.", false);
  }
}

async function regenerate(button: HTMLButtonElement): Promise<void> {
  button.disabled = true;
  try {
    const path = `/v1/provision/${button.dataset.instance}/regenerate`;
    const { first_run_url } = await call<InstanceView>(path, { method: "POST", cookies: true });
    if (first_run_url !== null) location.assign(first_run_url);
  } catch (error) {
    button.disabled = false;
    tell(told(error), true);
  }
}

function tell(text: string, wrong: boolean): void {
  element("status").textContent = text;
  element("status").classList.toggle("wrong", wrong);
}
