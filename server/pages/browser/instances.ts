import type { InstanceView } from "../../../lib/hosting/view.ts";
import { call, told } from "./api.ts";
import { button, copyable, element, facts, fill, make } from "./dom.ts";
import { askToEnd } from "./farewell.ts";

/** `/instances`: each with its link, its bundle, and its end. */

const makeCode = element<HTMLButtonElement>("new-code");
makeCode.addEventListener("click", newCode);
element("sign-out").addEventListener("click", tried(signOut));
tried(load)();

async function load(): Promise<void> {
  const all = await call<InstanceView[]>("/v1/provision", { cookies: true });
  element("none").hidden = all.length > 0;
  element("own").hidden = all.length === 0;
  element("recovery").hidden = true;
  fill(element("code"));
  tell("status", "", false);
  fill(element("list"), ...all.map(card));
}

function card(view: InstanceView): HTMLElement {
  const { id, label, url, state, plan, created_at, failure } = view;
  const rows = facts([
    ["URL", state === "ready" && hasPages(url) ? make("a", { href: url }, url) : make("code", {}, url)],
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

/** Below the service's own name an instance serves its API only. */
function hasPages(url: string): boolean {
  return new URL(url).origin !== location.origin;
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

async function signOut(): Promise<void> {
  await call("/v1/sign-out", { method: "POST", cookies: true });
  await load();
}

/** The code before it is void as soon as the service has the request, whether its answer comes or not. */
async function newCode(): Promise<void> {
  makeCode.disabled = true;
  fill(element("code"));
  element("recovery").hidden = false;
  tell("code-status", "Making a new one…", false);
  try {
    const path = "/v1/recovery-code";
    const { recovery_code } = await call<{ recovery_code: string }>(path, { method: "POST", cookies: true });
    fill(element("code"), copyable(recovery_code, "the recovery code"));
    const text =
      "Write it down: it is shown this once, and the one before it is void. It lets you manage your instances here when this browser is gone.";
    tell("code-status", text, false);
  } catch (error) {
    const text = "The code that you had may be void now: press “New recovery code” again.";
    tell("code-status", `${told(error)} ${text}`, true);
  }
  makeCode.disabled = false;
}

function tell(id: string, text: string, wrong: boolean): void {
  element(id).textContent = text;
  element(id).classList.toggle("wrong", wrong);
}
