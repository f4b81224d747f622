import { toHex } from "../../../lib/base/bytes.ts";
import { systemRandom } from "../../../lib/base/random.ts";
import type { InstanceView, PhaseView } from "../../../lib/hosting/view.ts";
import { call, told } from "./api.ts";
import { element, fill, make } from "./dom.ts";
import { sentence } from "./sentence.ts";

/** `/start`: the label is looked up while it is typed; then the phases come in, and the first-run page opens. */

const form = element<HTMLFormElement>("form");
const label = element<HTMLInputElement>("label");
const begin = element<HTMLButtonElement>("begin");
/** How long the label has to stay as it is before it is looked up. */
const SETTLE_MS = 250;

const TITLES: Record<PhaseView["phase"], string> = {
  reserve: "Reserve the label",
  volume: "Make its storage",
  machine: "Make its machine",
  boot: "Start it",
  bootstrap: "Prove that it takes its token",
  ready: "Ready",
};

/** What was asked for last, and the key by which the service knows it again where the answer got lost. */
let wish = { text: "", key: "" };
let settling: ReturnType<typeof setTimeout> | undefined;
let asked = 0;

label.addEventListener("input", () => {
  clearTimeout(settling);
  tellLabel("", null);
  const text = label.value.trim();
  if (text !== "") settling = setTimeout(() => look(text), SETTLE_MS);
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  submit().catch(fail);
});
element("again").addEventListener("click", () => {
  history.replaceState(null, "", location.pathname);
  show("form");
  label.focus();
});

// A page that is opened again goes on showing what it had begun.
const begun = location.hash.slice(1);
if (/^[0-9a-f]{16}$/.test(begun)) {
  call<InstanceView>(`/v1/provision/${begun}`, { cookies: true })
    .then(watch)
    .catch(() => label.focus());
} else label.focus();

async function look(text: string): Promise<void> {
  const mine = ++asked;
  const found = await call<{ available: boolean; reason: string | null }>(
    `/v1/labels/${encodeURIComponent(text)}`,
  ).catch(() => null);
  if (mine !== asked || found === null || label.value.trim() !== text) return;
  tellLabel(
    found.available ? `✓ ${text} is free.` : `${text} cannot be had: ${found.reason}.`,
    found.available,
  );
}

function tellLabel(text: string, good: boolean | null): void {
  const status = element("label-status");
  status.textContent = text;
  status.classList.toggle("good", good === true);
  status.classList.toggle("wrong", good === false);
  label.setAttribute("aria-invalid", String(good === false));
}

async function submit(): Promise<void> {
  tell("", false);
  clearTimeout(settling);
  // What was said of it before may hold no longer.
  tellLabel("", null);
  asked++;
  const data = new FormData(form);
  const invitation = data.get("invitation");
  const json = {
    label: label.value.trim(),
    plan: String(data.get("plan")),
    ...(typeof invitation === "string" && { invitation: invitation.trim() }),
  };
  const text = JSON.stringify(json);
  if (wish.text !== text) wish = { text, key: toHex(systemRandom(16)) };
  begin.disabled = true;
  tell("Reserving the label…", false);
  const headers = { "idempotency-key": `"${wish.key}"` };
  const view = await call<InstanceView>("/v1/provision", { json, headers, cookies: true });
  wish = { text: "", key: "" };
  begin.disabled = false;
  history.replaceState(null, "", `#${view.id}`);
  watch(view);
}

function watch(first: InstanceView): void {
  show("progress");
  tell("", false);
  element("name").textContent = first.label;
  draw(first);
  element("progress-title").focus();
  const source = new EventSource(`/v1/provision/${first.id}`);
  source.onmessage = ({ data }) => {
    const view = JSON.parse(data) as InstanceView;
    draw(view);
    if (view.state === "failing") showFailure(view);
    if (view.state === "provisioning" || view.state === "failing") return;
    source.close();
    finish(view);
  };
}

function finish(view: InstanceView): void {
  if (view.state === "ready" && view.first_run_url !== null) {
    tell("Ready. Opening the first-run page…", false);
    location.assign(view.first_run_url);
    return;
  }
  showFailure(view);
}

/** The removal of what was made may take a while, and its owner need not wait for it to know why. */
function showFailure({ state, failure }: InstanceView): void {
  const first = element("failed").hidden;
  show("failed");
  element("failure").textContent =
    failure === null
      ? `The instance is ${state}.`
      : `${sentence(failure.message)}${failure.hint ? ` ${sentence(failure.hint)}` : ""}`;
  const removing = state === "failing";
  element("rest").textContent = removing
    ? "What was made of it is being removed; then the label is free."
    : "Nothing was left behind, and the label is free.";
  element("again").hidden = removing;
  if (first) element("failed-title").focus();
}

function draw({ phases }: InstanceView): void {
  fill(
    element("phases"),
    ...phases.map(({ phase, state, took_ms }) =>
      make(
        "li",
        { class: state, ...(state === "running" && { "aria-current": "step" }) },
        make("span", {}, TITLES[phase]),
        make("span", { class: "quiet" }, described(state, took_ms)),
      ),
    ),
  );
}

function described(state: PhaseView["state"], took: number | null): string {
  if (state === "done")
    return took === null ? "done" : took < 1000 ? `${took} ms` : `${(took / 1000).toFixed(1)} s`;
  return { waiting: "", running: "under way…", failed: "failed" }[state];
}

function fail(error: unknown): void {
  begin.disabled = false;
  tell(told(error), true);
  label.focus();
}

function tell(text: string, wrong: boolean): void {
  element("status").textContent = text;
  element("status").classList.toggle("wrong", wrong);
}

function show(section: "form" | "progress" | "failed"): void {
  for (const id of ["form", "progress", "failed"]) element(id).hidden = id !== section;
}
