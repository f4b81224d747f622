import type { Health, Token } from "../../../lib/api/wire.ts";
import { call, Refusal, told } from "./api.ts";
import { backups } from "./console/backups.ts";
import { type Desk, may, type Session, type Standing, type View } from "./console/desk.ts";
import { devices } from "./console/devices.ts";
import { follow, type Liveness } from "./console/live.ts";
import { overview } from "./console/overview.ts";
import { pairs } from "./console/pairs.ts";
import { Refresher } from "./console/refresher.ts";
import { refused } from "./console/refused.ts";
import { signIn } from "./console/sign_in.ts";
import { thread } from "./console/thread.ts";
import { threads } from "./console/threads.ts";
import { chip, moment, number, outside, shortDid } from "./console/words.ts";
import { forgetCredential, loadCredential, onCredentialChange } from "./credential.ts";
import { copyable, element, fill, make, refill } from "./dom.ts";

/**
 * The console: shows what the token of this browser may read, at the address behind `#`, and keeps it up to date. It
 * changes nothing in the instance.
 */

const LIVENESS: Record<Liveness, string> = {
  connecting: "Connecting",
  live: "Live",
  reconnecting: "Reconnecting",
  off: "Not live",
};
const ENDED = "The sign-in of this browser has ended: it was revoked, or has expired.";

let desk: Desk | null = null;
/** Ends what belongs to the sign-in that was before. */
let leaving = new AbortController();
let current: { view: View; refresher: Refresher } | null = null;

addEventListener("hashchange", () => navigate(true));
onCredentialChange(() => start(null));
element("skip").addEventListener("click", (event) => {
  event.preventDefault();
  element("heading").focus();
});
start(null);

/** @param why what ended the sign-in before, or null */
async function start(why: string | null): Promise<void> {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  [desk, current] = [null, null];
  try {
    const [session, { instance_did }] = await Promise.all([readSession(), call<Health>("health")]);
    if (signal.aborted) return;
    showIdentity(instance_did, null);
    if (session === null) return showSignIn(loadCredential() === null ? why : ENDED);
    desk = makeDesk(session, instance_did);
  } catch (error) {
    if (!signal.aborted) isGone(error) ? showGone(error) : showUnreachable(error);
    return;
  }
  element("nav").hidden = false;
  element("live").hidden = false;
  navigate(why !== null || document.activeElement !== document.body);
  await follow(desk.session.token, signal, {
    onStanding,
    onLiveness: showLiveness,
    onRefused: () => signOut(ENDED),
    onGone: () => start(null),
  });
}

/** @returns null when nobody is signed in @throws Refusal */
async function readSession(): Promise<Session | null> {
  const kept = loadCredential();
  try {
    const { account, scopes } = await call<Token>("v1/token", kept ? { token: kept.token } : {});
    return { token: kept?.token ?? null, account, device: kept?.device ?? null, scopes };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.status === 401) return null;
    // Who is let in without a token has none that could be told of.
    if (error.status === 404) return { token: null, account: "local", device: null, scopes: ["admin"] };
    throw error;
  }
}

function makeDesk(session: Session, instanceDid: string): Desk {
  const { token } = session;
  return {
    session,
    standing: null,
    instanceDid,
    get: (path) => call(path, token === null ? {} : { token }),
    tell: (text) => fill(element("told"), text),
    signOut: () => signOut(null),
  };
}

function signOut(why: string | null): void {
  forgetCredential();
  start(why);
}

function showSignIn(why: string | null): void {
  if (why === ENDED) forgetCredential();
  quiet();
  showHeading("Sign in", why !== null);
  fill(
    element("view"),
    signIn(why, () => start("")),
  );
}

/** An instance that has left its hosting service, or was deleted there. */
function isGone(error: unknown): error is Refusal {
  return error instanceof Refusal && error.status === 410;
}

function showGone(error: Refusal): void {
  quiet();
  fill(element("who"));
  showHeading("This instance is gone", true);
  fill(element("view"), make("p", { class: "notice", role: "alert" }, error.message));
}

function showUnreachable(error: unknown): void {
  quiet();
  showHeading("No connection", false);
  const retry = make("button", { type: "button", class: "main" }, "Try again");
  retry.addEventListener("click", () => start(null));
  const text = told(error);
  fill(element("view"), make("p", { class: "notice", role: "alert" }, text), retry);
}

/** Nothing is shown that a sign-in brought. */
function quiet(): void {
  for (const id of ["nav", "live", "banner", "problem"]) element(id).hidden = true;
  for (const id of ["threads-count", "state"]) fill(element(id));
}

/** Shows what the address says. @param move whether the focus goes to its heading, where a screen reader goes on */
async function navigate(move: boolean): Promise<void> {
  if (desk === null) return;
  const [, name = "", id = ""] = location.hash.split("/");
  for (const link of element("nav").querySelectorAll("a")) {
    if (link.hash === (name === "" ? "#/" : `#/${name}`)) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const view = viewOf(desk, name, decoded(id));
  const shown = { view, refresher: new Refresher(() => refresh(view)) };
  current = shown;
  showHeading(view.heading, false);
  fill(element("view"), view.body);
  fill(element("told"));
  element("problem").hidden = true;
  element("main").setAttribute("aria-busy", "true");
  await shown.refresher.run();
  if (current !== shown) return;
  element("main").removeAttribute("aria-busy");
  showHeading(view.heading, move);
}

function viewOf(desk: Desk, name: string, id: string): View {
  if (name === "threads") return id === "" ? threads(desk) : thread(desk, id);
  return ({ pairs, devices, backups }[name] ?? overview)(desk);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

async function refresh(view: View): Promise<void> {
  if (desk === null) return;
  const problem = element("problem");
  try {
    await view.refresh();
    if (current?.view === view) problem.hidden = true;
  } catch (error) {
    if (current?.view !== view) return;
    if (error instanceof Refusal && error.status === 401) return signOut(ENDED);
    if (isGone(error)) {
      await start(null);
      return;
    }
    if (error instanceof Refusal && error.status === 403 && !may(desk.session, view.scope)) {
      return fill(element("view"), ...refused(desk, view.scope));
    }
    fill(problem, error instanceof Error ? error.message : String(error));
    problem.hidden = false;
  }
}

function onStanding(standing: Standing): void {
  if (desk === null) return;
  const before = desk.standing;
  desk.standing = standing;
  desk.instanceDid = standing.instance_did;
  showIdentity(standing.instance_did, standing.state);
  fill(element("threads-count"), number(standing.threads));
  showBanner(standing);
  // The first one tells what the view has just fetched, or what was missed without a connection.
  if (before === null || JSON.stringify(before) !== JSON.stringify(standing)) current?.refresher.run();
}

function showIdentity(did: string, state: Standing["state"] | null): void {
  refill(element("who"), copyable(did, "the instance's DID", shortDid(did)));
  refill(element("state"), state === null ? null : chip(state, state === "active" ? "good" : "wrong"));
}

function showLiveness(liveness: Liveness): void {
  const live = element("live");
  if (live.dataset.is === liveness) return;
  live.dataset.is = liveness;
  fill(live, LIVENESS[liveness]);
}

/** Says where an identity went that this home has no more. */
function showBanner({ state, moved_to, same_address, since }: Standing): void {
  const banner = element("banner");
  banner.hidden = state === "active";
  if (state === "active") return;
  const when = since === null ? null : moment(since);
  if (state === "revoked") {
    refill(
      banner,
      "This identity was revoked ",
      when,
      ". It stays readable and can be exported; nothing can be written.",
    );
    return;
  }
  refill(
    banner,
    "This identity has moved ",
    when,
    moved_to === null ? " to another home" : same_address ? " to another home at the same address, " : " to ",
    moved_to === null ? null : outside(moved_to),
    ". What is here can be read and exported. To take it back here: ",
    make("code", {}, "spl serve --reclaim"),
  );
}

function showHeading(text: string, move: boolean): void {
  const heading = element("heading");
  if (heading.textContent !== text) fill(heading, text);
  document.title = `${heading.textContent} · spl`;
  if (move) heading.focus();
}
