import type { InstanceView } from "../../../lib/hosting/view.ts";
import { call, Refusal } from "./api.ts";
import { element, made } from "./dom.ts";

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
load().catch((error) => tell("status", told(error), true));

async function load(): Promise<void> {
  const all = await call<InstanceView[]>("/v1/provision", { cookies: true });
  element("none").hidden = all.length > 0;
  element("sign-out").hidden = all.length === 0;
  element("list").replaceChildren(...all.map(card));
}

function card(view: InstanceView): HTMLElement {
  const box = made("section", "", "card");
  const title = made("h2", view.label);
  box.append(title, facts(view));
  if (view.state !== "ready") {
    if (view.failure) box.append(made("p", `${view.failure.message}.`, "quiet"));
    return box;
  }
  const actions = made("div", "", "actions");
  const bundle = made("a", "Download the bundle", "button plain");
  bundle.href = `/v1/provision/${view.id}/bundle`;
  actions.append(
    button("Regenerate bootstrap token", () => regenerate(view)),
    bundle,
    button("Leave…", () => ask(view, "left")),
    button("Delete…", () => ask(view, "deleted")),
  );
  box.append(
    actions,
    made("p", "The bundle holds the private key: who has the file can act as you.", "quiet"),
  );
  return box;
}

function facts({ url, state, plan, created_at }: InstanceView): HTMLElement {
  const list = made("dl");
  for (const [name, value] of [
    ["URL", url],
    ["State", state],
    ["Plan", plan],
    ["Since", created_at],
  ] as const) {
    const term = made("dd");
    term.append(name === "URL" ? made("code", value) : value);
    list.append(made("dt", name), term);
  }
  return list;
}

function button(text: string, run: () => void | Promise<void>): HTMLButtonElement {
  const made_ = made("button", text, "plain");
  made_.type = "button";
  made_.addEventListener("click", () =>
    Promise.resolve(run()).catch((error) => tell("status", told(error), true)),
  );
  return made_;
}

async function regenerate({ id }: InstanceView): Promise<void> {
  const { first_run_url } = await call<InstanceView>(`/v1/provision/${id}/regenerate`, {
    method: "POST",
    cookies: true,
  });
  if (first_run_url !== null) location.assign(first_run_url);
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
