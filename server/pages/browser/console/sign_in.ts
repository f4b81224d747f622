import type { Health, Token } from "../../../../lib/api/wire.ts";
import { call, Refusal, told } from "../api.ts";
import { saveCredential } from "../credential.ts";
import { button, command, copyableCommand, fill, make } from "../dom.ts";
import { redeem } from "../redeem.ts";
import { here, pairCommand } from "./desk.ts";

/**
 * The forms that let this browser in.
 * @param why what ended the sign-in before, or null
 * @param onIn called when a credential is kept
 */
export function signIn(why: string | null, onIn: () => void): HTMLElement {
  const whole = make("div");
  const paired = ({ phrase, device }: { phrase: string; device: string }) => {
    const title = make("h2", { tabindex: "-1", class: "good" }, "✓ Paired");
    fill(
      whole,
      make(
        "section",
        { class: "card" },
        title,
        make(
          "p",
          {},
          "The screen that made the code must show the same words. If they differ, end the pairing at once: ",
          make("code", {}, `spl device revoke ${device}`),
        ),
        make("p", { class: "phrase" }, phrase),
        button("Open the console", onIn, "main"),
      ),
    );
    title.focus();
  };
  fill(
    whole,
    why === null ? null : make("p", { class: "notice", role: "alert" }, why),
    make("p", {}, "The console shows what this instance holds, to browsers that were let in."),
    make(
      "section",
      { class: "card", "aria-labelledby": "code-title" },
      make("h2", { id: "code-title" }, "Pair this browser"),
      make("p", {}, "On a machine where ", make("code", {}, "spl"), " works, type:"),
      make("p", {}, copyableCommand(pairCommand(["records:read"]))),
      make(
        "p",
        { class: "quiet" },
        "With ",
        make("code", {}, "--scopes admin"),
        " it also sees devices and backups.",
      ),
      form({
        id: "code",
        label: "Code",
        note: "The link that the command shows opens ",
        more: make("a", { href: "pair" }, `${here()}/pair`),
        input: {
          class: "code",
          maxlength: "2100",
          placeholder: "XXXX-XXXX-XXXX",
          autocapitalize: "characters",
        },
        action: "Pair this browser",
        async submit(typed) {
          const { redeemed, phrase } = await redeem(typed);
          paired({ phrase, device: redeemed.device });
        },
      }),
    ),
    make(
      "section",
      { class: "card", "aria-labelledby": "token-title" },
      make("h2", { id: "token-title" }, "Or paste a token"),
      form({
        id: "token",
        label: "Token",
        note: "It stays in this browser until you sign out. To make one: ",
        more: command("spl token create console --scopes records:read"),
        input: { class: "text", maxlength: "512", placeholder: "spl_…", type: "password" },
        action: "Keep this token",
        async submit(typed) {
          await keepToken(typed.trim());
          onIn();
        },
      }),
    ),
  );
  return whole;
}

/** @throws Refusal */
async function keepToken(token: string): Promise<void> {
  // What no header can carry is no token.
  if (!/^[\x21-\x7e]+$/.test(token)) throw new Refusal(0, "This is no token. It begins with spl_.");
  const [{ account, scopes, kind }, { instance_did }] = await Promise.all([
    call<Token>("v1/token", { token }),
    call<Health>("health"),
  ]);
  if (kind === "bootstrap") {
    throw new Refusal(
      0,
      "This is a bootstrap token, which works once. Trade it first: spl token save TOKEN.",
    );
  }
  saveCredential({ token, account, device: null, scopes, instance_did });
}

interface FormParts {
  id: string;
  label: string;
  note: string;
  more: Node;
  input: Record<string, string>;
  action: string;
  /** @throws Refusal */
  submit(typed: string): Promise<void>;
}

function form({ id, label, note, more, input, action, submit }: FormParts): HTMLFormElement {
  const status = make("p", { id: `${id}-status`, class: "status", role: "status" });
  const always = { autocomplete: "off", autocorrect: "off", spellcheck: "false", required: "" };
  const field = make("input", { id, ...always, "aria-describedby": `${id}-note ${id}-status`, ...input });
  const press = make("button", { type: "submit", class: "main" }, action);
  const made = make(
    "form",
    {},
    make("label", { for: id }, label),
    field,
    make("p", { id: `${id}-note`, class: "quiet note" }, note, more, "."),
    press,
    status,
  );
  made.addEventListener("submit", async (event) => {
    event.preventDefault();
    press.disabled = true;
    tell("One moment…", false);
    try {
      await submit(field.value);
    } catch (error) {
      tell(told(error), true);
      field.focus();
    }
    press.disabled = false;
  });
  const tell = (message: string, wrong: boolean) => {
    fill(status, message);
    status.classList.toggle("wrong", wrong);
    field.setAttribute("aria-invalid", String(wrong));
  };
  return made;
}
