import { call, told } from "./api.ts";
import { element } from "./dom.ts";

/** `/recover`: a code for a session. */

const code = element<HTMLInputElement>("code");
code.focus();
element<HTMLFormElement>("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  element<HTMLButtonElement>("go").disabled = true;
  try {
    await call("/v1/recover", { json: { code: code.value }, cookies: true });
    location.assign("/instances");
  } catch (error) {
    element<HTMLButtonElement>("go").disabled = false;
    const status = element("status");
    status.textContent = told(error);
    status.classList.add("wrong");
    code.setAttribute("aria-invalid", "true");
    code.focus();
  }
});
