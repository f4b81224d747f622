import type { InstanceView } from "../../../lib/hosting/view.ts";
import { call, Refusal } from "./api.ts";
import { button, copyable, element, facts, fill, make } from "./dom.ts";

/** `/instances`: each with its link, its bundle, and its end. */

const dialog = element<HTMLDialogElement>("end");
const sure = element<HTMLInputElement>("end-sure");
const act = element<HTMLButtonElement>("end-do");
let ending: (() => Promise<void>) | null = null;

sure.addEventListener("change", () => {
  act.disabled = !sure.checked;
});
act.addEventListener("click", async () => {
  act.disabled = true;
  tell("end-status", "Comparing your bundle, then ending it…", false);
  try {
    await ending?.();
    dialog.close();
    await load();
  } catch (error) {
    act.disabled = false;
    tell("end-status", told(error), true);
  }
});
element("sign-out").addEventListener("click", async () => {
  await call("/v1/sign-out", { method: "POST", cookies: true }).catch(() => undefined);
  await load();
});
element("new-code").addEventListener("click", tried(newCode));
load().catch((error) => tell("status", told(error), true));

async function load(): Promise<void> {
  const all = await call<InstanceView[]>("/v1/provision", { cookies: true });
  element("none").hidden = all.length > 0;
  element("own").hidden = all.length === 0;
  fill(element("code"));
  fill(element("list"), ...all.map(card));
}

function card(view: InstanceView): HTMLElement {
  const { id, label, url, state, plan, created_at, failure } = view;
  const rows = facts([
    ["URL", make("code", {}, url)],
    ["State", state],
    ["Plan", plan],
    ["Since", created_at],
    ["Why", failure?.message ?? null],
  ]);
  const title = make("h2", {}, label);
  if (state !== "ready") return make("section", { class: "card" }, title, rows);
  const actions = make(
    "div",
    { class: "actions" },
    button(
      "Regenerate bootstrap token",
      tried(() => regenerate(view)),
    ),
    make("a", { class: "button plain", href: `/v1/provision/${id}/bundle` }, "Download the bundle"),
    button("Leave…", () => ask(view, "left")),
    button("Delete…", () => ask(view, "deleted")),
  );
  const warning =
    "The bundle holds the private key: who has the file can act as you. To download it makes a bootstrap token void that was shown and not used yet.";
  return make("section", { class: "card" }, title, rows, actions, make("p", { class: "quiet" }, warning));
}

function tried(run: () => Promise<void>): () => void {
  return () => run().catch((error) => tell("status", told(error), true));
}

async function regenerate({ id }: InstanceView): Promise<void> {
  const { first_run_url } = await call<InstanceView>(`/v1/provision/${id}/regenerate`, {
    method: "POST",
    cookies: true,
  });
  if (first_run_url !== null) location.assign(first_run_url);
}

async function newCode(): Promise<void> {
  const { recovery_code } = await call<{ recovery_code: string }>("/v1/recovery-code", {
    method: "POST",
    cookies: true,
  });
  const text = "It lets you manage your instances here when this browser is gone. The one before it is void.";
  fill(element("code"), copyable(recovery_code, "the recovery code"), make("p", { class: "quiet" }, text));
  tell("status", "Write the new recovery code down: it is shown this once.", false);
}

function ask({ id, label, url }: InstanceView, to: "left" | "deleted"): void {
  element("end-title").textContent = to === "left" ? `Leave with ${label}` : `Delete ${label}`;
  element("end-text").textContent =
    to === "left"
      ? `The instance and all that it holds are removed from this service. ${url} answers with where its identity lives now, as it says in this service's directory.`
      : `The instance and all that it holds are removed from this service. ${url} answers that it is gone.`;
  element("end-label").textContent =
    "I have downloaded the bundle here since the last change. (It is compared first: if anything is newer, nothing happens.)";
  sure.checked = false;
  act.disabled = true;
  tell("end-status", "", false);
  ending = () =>
    to === "left"
      ? call(`/v1/provision/${id}/leave`, { json: {}, cookies: true })
      : call(`/v1/provision/${id}`, { method: "DELETE", json: {}, cookies: true });
  dialog.showModal();
}

function told(error: unknown): string {
  return error instanceof Refusal ? error.message : `Something went wrong here: ${error}.`;
}

function tell(id: string, text: string, wrong: boolean): void {
  element(id).textContent = text;
  element(id).classList.toggle("wrong", wrong);
}
