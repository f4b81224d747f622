import type { InstanceView } from "../../../lib/hosting/view.ts";
import { call, told } from "./api.ts";
import { button, copyable, element, facts, fill, make } from "./dom.ts";
import { askToEnd } from "./farewell.ts";

/** `/instances`: each with its link, its bundle, and its end. */

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
    button("Leave…", () => askToEnd(view, "left", tried(load))),
    button("Delete…", () => askToEnd(view, "deleted", tried(load))),
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

function tell(id: string, text: string, wrong: boolean): void {
  element(id).textContent = text;
  element(id).classList.toggle("wrong", wrong);
}
