import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import type { Device, Pairing, PairingCode } from "../../lib/api/wire.ts";
import { sha256 } from "../../lib/base/sha256.ts";
import { pairingPhrase } from "../../lib/pairing/phrase.ts";
import { Box } from "../kit/box.ts";
import { freshPage, openBrowser, PHONE } from "../kit/browser.ts";

setDefaultTimeout(60_000);

/** The page that redeems a code, served by the compiled program, in a real browser. */

let host: Box;
let browser: Browser;
beforeAll(async () => {
  [host, browser] = await Promise.all([Box.serving(), openBrowser()]);
});
afterAll(async () => {
  await browser.close();
  await host[Symbol.asyncDispose]();
});

let devices = 0;

function pair(): Promise<PairingCode> {
  return host.json<PairingCode>("pair", "--device", `browser-${++devices}`);
}

async function state(device: string): Promise<string> {
  return (await host.json<Device[]>("device", "list")).find((row) => row.device === device)!.state;
}

/** Resolves once the note of the device's first call is written; an answer does not wait for it. */
async function connected(device: string): Promise<void> {
  while ((await state(device)) !== "connected");
}

/** A page at `url` in a profile of its own. Nothing it does may make the browser complain. */
async function withPage(
  url: string,
  use: (page: Page) => Promise<void>,
  options?: BrowserContextOptions,
): Promise<void> {
  const { page, complaints } = await freshPage(browser, options);
  try {
    await page.goto(url);
    await use(page);
    expect(complaints).toEqual([]);
  } finally {
    await page.context().close();
  }
}

/** How far a pairing is, by the socket. */
async function pairing(id: string): Promise<Pairing> {
  const unix = `${host.home.env.SYNCROPEL_HOME}/run/spl.sock`;
  return (await fetch(`http://localhost/v1/devices/pairings/${id}`, { unix })).json() as Promise<Pairing>;
}

const focused = (page: Page) => page.evaluate<string>("document.activeElement.id");
const stored = (page: Page) =>
  page.evaluate(() => JSON.parse(localStorage.getItem("syncropel.credential") ?? "null"));

const paired = (page: Page) => page.getByRole("heading", { name: "Paired" }).waitFor();
const pressed = (page: Page) => page.getByRole("button", { name: "Pair this browser" }).click();

test("the link brings the code, the button redeems it, both ends show the same words", async () => {
  const { link, code, device, id } = await pair();
  await withPage(link, async (page) => {
    // The code is in the field, and nowhere that others could find it.
    expect(await page.getByLabel("Code").inputValue()).toBe(code);
    expect(page.url()).toBe(link.replace(/#.*/, ""));
    expect(await page.evaluate("history.length")).toBeLessThanOrEqual(2);
    expect(await state(device)).toBe("waiting");

    // The button has the focus: Enter is enough.
    await page.keyboard.press("Enter");
    await page.locator("#done").waitFor();
    const { nonce } = await pairing(id);
    expect(await page.locator("#phrase").textContent()).toBe(pairingPhrase(code, nonce!, sha256));
    const text = await page.locator("main").textContent();
    const { instance_did } = await host.json("status");
    for (const shown of [device, "config:read, records:read, records:write", String(instance_did)])
      expect(text).toContain(shown);
    expect(text).toContain(`spl device revoke ${device}`);
    expect(await focused(page)).toBe("done-title");

    const credential = await stored(page);
    expect(credential).toMatchObject({ device, account: `device-${device}`, instance_did });
    expect(text).not.toContain(credential.token);
    await connected(device);
    expect(await page.context().cookies()).toEqual([]);
  });
});

test("a code can be typed, and a link pasted, on a phone in the dark", async () => {
  const { url } = await host.json<{ url: string }>("status");
  const [typed, pasted] = [await pair(), await pair()];
  for (const [{ device }, text] of [
    [typed, typed.code.toLowerCase().replaceAll("-", " ")],
    [pasted, pasted.link],
  ] as const) {
    await withPage(
      `${url}/pair`,
      async (page) => {
        expect(await focused(page)).toBe("code");
        await page.keyboard.type(text);
        await page.getByRole("button", { name: "Pair this browser" }).tap();
        await paired(page);
        await connected(device);
        expect(await page.evaluate("document.documentElement.scrollWidth <= innerWidth")).toBe(true);
      },
      { ...PHONE, colorScheme: "dark" },
    );
  }
});

test("previews and reloads use up no code", async () => {
  const { link, device } = await pair();
  for (let n = 0; n < 3; n++) {
    await fetch(link);
    await fetch(link, { method: "HEAD" });
  }
  await withPage(link, async (page) => {
    await page.reload();
    await page.goto(link);
  });
  expect(await state(device)).toBe("waiting");
  await withPage(link, async (page) => {
    await pressed(page);
    await paired(page);
  });
});

test("a wrong, an unknown and a used code are told in the words of the problem, and the right one still works", async () => {
  const { code, device } = await pair();
  const { url } = await host.json<{ url: string }>("status");
  const wrong = code.slice(0, -1) + (code.endsWith("0") ? "1" : "0");
  await withPage(`${url}/pair`, async (page) => {
    const field = page.getByLabel("Code");
    const status = page.getByRole("status");
    for (const [text, words] of [
      ["123", "A code has twelve letters and digits"],
      [wrong, "This code opens nothing. Compare it with the screen that shows it"],
    ] as const) {
      await field.fill(text);
      await pressed(page);
      await status.getByText(words).waitFor();
      expect(await field.getAttribute("aria-invalid")).toBe("true");
      expect(await focused(page)).toBe("code");
      expect(await stored(page)).toBeNull();
    }
    await field.fill(code);
    await pressed(page);
    await paired(page);
  });
  await connected(device);
  await withPage(`${url}/pair#${code}`, async (page) => {
    await pressed(page);
    await page.getByRole("status").getByText("The code has been used already.").waitFor();
  });
});

test("a browser that is paired says so and uses up nothing; one whose device was revoked begins anew", async () => {
  const [first, second] = [await pair(), await pair()];
  await withPage(first.link, async (page) => {
    await pressed(page);
    await paired(page);
    await page.goto(second.link);
    await page.reload();
    await page.getByRole("heading", { name: "This browser is paired already" }).waitFor();
    expect(await page.locator("#device").textContent()).toBe(first.device);
    expect(page.url()).not.toContain(second.code);
    expect(await state(second.device)).toBe("waiting");

    await host.ok("device", "revoke", first.device);
    await page.reload();
    await page.getByRole("status").getByText("that pairing has ended").waitFor();
    expect(await stored(page)).toBeNull();
    await page.getByLabel("Code").fill(second.code);
    await pressed(page);
    await paired(page);
    await connected(second.device);

    await page.getByRole("button", { name: "Forget it in this browser" }).click();
    await page.getByLabel("Code").waitFor();
    expect(await stored(page)).toBeNull();
  });
});

test("a browser that keeps nothing is told before the code is used", async () => {
  const { link, device } = await pair();
  const { page } = await freshPage(browser);
  await page.addInitScript(() => {
    Storage.prototype.setItem = () => {
      throw new DOMException("no", "QuotaExceededError");
    };
  });
  await page.goto(link);
  await pressed(page);
  await page.getByRole("status").getByText("The code was not used").waitFor();
  expect(await state(device)).toBe("waiting");
  await page.context().close();
});

test("a device that is paired stays so when its first call fails, and its page says both", async () => {
  const { link, device } = await pair();
  const { page } = await freshPage(browser);
  await page.route("**/v1/token", (route) => route.abort());
  await page.goto(link);
  await pressed(page);
  await paired(page);
  await page.getByRole("status").getByText("The instance cannot be reached").waitFor();
  expect(await state(device)).toBe("redeemed");
  await page.unroute("**/v1/token");
  await page.reload();
  await page.getByRole("heading", { name: "This browser is paired already" }).waitFor();
  await connected(device);
  await page.context().close();
});

test("an instance that cannot be reached is told in words, and the code can be tried again", async () => {
  const { link, device } = await pair();
  const { page } = await freshPage(browser);
  await page.goto(link);
  await page.context().setOffline(true);
  await pressed(page);
  await page.getByRole("status").getByText("The instance cannot be reached").waitFor();
  await page.context().setOffline(false);
  await pressed(page);
  await paired(page);
  await connected(device);
  await page.context().close();
});

test("it works on plain http under another name than localhost, where a browser has no crypto.subtle", async () => {
  await using lan = await Box.serving("--host", "0.0.0.0");
  const { link, device } = await lan.json<PairingCode>("pair", "--device", "browser-lan");
  const lanBrowser = await openBrowser(["--host-resolver-rules=MAP box.local 127.0.0.1"]);
  try {
    const { page, complaints } = await freshPage(lanBrowser);
    await page.goto(link.replace(/\/\/[^:]+/, "//box.local"));
    expect(await page.evaluate("[isSecureContext, typeof crypto.subtle]")).toEqual([false, "undefined"]);
    await pressed(page);
    await paired(page);
    expect(complaints).toEqual([]);
    expect((await lan.json<Device[]>("device", "list"))[0]).toMatchObject({
      device,
      account: `device-${device}`,
    });
  } finally {
    await lanBrowser.close();
  }
});

test("no other page can frame it", async () => {
  const { url } = await host.json<{ url: string }>("status");
  const framing = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: () =>
      new Response(`<iframe src="${url}/pair"></iframe>`, { headers: { "content-type": "text/html" } }),
  });
  try {
    const { page } = await freshPage(browser);
    await page.goto(`http://127.0.0.1:${framing.port}/`);
    const [, frame] = page.frames();
    expect(await frame!.locator("#form").count()).toBe(0);
    await page.context().close();
  } finally {
    await framing.stop(true);
  }
});
