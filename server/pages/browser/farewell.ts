import type { InstanceView } from "../../../lib/hosting/view.ts";
import { call, told } from "./api.ts";
import { element, fill } from "./dom.ts";
import type { Report } from "./findings.ts";
import { canRead, readBundle } from "./reader.ts";

/**
 * The dialog that ends an instance. The service cannot know what became of a download, so its owner shows the file: it is
 * read here and never sent, and only which bundle it is goes to the service, which compares.
 */

const dialog = element<HTMLDialogElement>("end");
const act = element<HTMLButtonElement>("end-do");
const keep = element<HTMLButtonElement>("end-keep");
const fields = element<HTMLFieldSetElement>("end-fields");
const picker = element<HTMLInputElement>("end-file");
const choose = element<HTMLButtonElement>("end-choose");
const without = element<HTMLInputElement>("end-without");
const having = element<HTMLInputElement>("end-having");

let reading: Worker | null = null;
/** `bundle_sha256` of the chosen file, once it is verified. */
let held: string | null = null;
let asked: { view: InstanceView; to: "left" | "deleted"; ended: () => void };

choose.addEventListener("click", () => picker.click());
picker.addEventListener("change", () => {
  const [file] = picker.files ?? [];
  if (file) read(file);
  // So that the same file can be chosen again.
  picker.value = "";
});
for (const choice of [having, without]) choice.addEventListener("change", decided);
dialog.addEventListener("close", stop);
dialog.addEventListener("cancel", (event) => {
  // What is on its way cannot be kept any more.
  if (keep.disabled) event.preventDefault();
});
act.addEventListener("click", end);

/** @param ended is called once it is no instance any more */
export function askToEnd(view: InstanceView, to: "left" | "deleted", ended: () => void): void {
  const { label, url } = view;
  stop();
  asked = { view, to, ended };
  element("end-title").textContent = to === "left" ? `Leave with ${label}` : `Delete ${label}`;
  element("end-text").textContent =
    to === "left"
      ? `The instance and all that it holds are removed from this service. ${url} answers with where its identity lives now, as it says in this service's directory.`
      : `The instance and all that it holds are removed from this service. ${url} answers that it is gone.`;
  having.checked = true;
  decided();
  dialog.showModal();
}

function decided(): void {
  if (without.checked) stop();
  element("end-with").hidden = without.checked;
  act.textContent = without.checked ? "End it, everything is lost" : "End it here";
  act.disabled = !without.checked && held === null;
  tell("", false);
}

function stop(): void {
  reading?.terminate();
  reading = null;
  held = null;
}

function read(file: File): void {
  stop();
  decided();
  if (!canRead()) {
    tell("This browser is too old to read a bundle. Use another one, with your recovery code.", true);
    return;
  }
  tell(`Reading ${file.name}…`, false);
  reading = readBundle({ file, secret: null }, (report) => reported(file, report), broke);
}

function reported({ name, size }: File, report: Report): void {
  if (report.kind === "progress") {
    const share = size === 0 ? 100 : Math.floor((100 * report.bytes) / size);
    tell(`Reading ${name}: ${share} %`, false);
    return;
  }
  const { verdict, message, findings } = report;
  stop();
  held = findings.bundleSha256;
  act.disabled = held === null;
  if (held !== null) tell(`✓ ${name} is whole. It is compared with the instance when you go on.`, false);
  else if (verdict === "locked")
    tell(`${name} is encrypted. Choose the file as it was downloaded here.`, true);
  else if (verdict === "failed") tell(`${name} could not be read: ${message}.`, true);
  else tell(`${name} is no whole bundle: ${message}. Download it again. Nothing was removed.`, true);
}

function broke(): void {
  stop();
  tell("What reads bundles did not load or broke. Reload the page and try again. Nothing was removed.", true);
}

async function end(): Promise<void> {
  const { view, to, ended } = asked;
  const json = without.checked ? { without_bundle: true } : { bundle_sha256: held };
  busy(true);
  tell(without.checked ? "Ending it…" : "Comparing your bundle, then ending it…", false);
  try {
    if (to === "left") await call(`/v1/provision/${view.id}/leave`, { json, cookies: true });
    else await call(`/v1/provision/${view.id}`, { method: "DELETE", json, cookies: true });
    dialog.close();
    ended();
  } catch (error) {
    tell(told(error), true);
  }
  busy(false);
}

function busy(is: boolean): void {
  for (const control of [act, keep, fields]) control.disabled = is;
}

function tell(text: string, wrong: boolean): void {
  fill(element("end-status"), text);
  element("end-status").classList.toggle("wrong", wrong);
}
