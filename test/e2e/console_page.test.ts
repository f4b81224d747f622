import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import type { Device, MintedToken, PairingCode, Status } from "../../lib/api/wire.ts";
import { Box } from "../kit/box.ts";
import { complaintsOfAxe, freshPage, openBrowser, PHONE } from "../kit/browser.ts";
import { Machine } from "../kit/machine.ts";
import { ScratchHome } from "../kit/spl.ts";
import { until } from "../kit/until.ts";

setDefaultTimeout(60_000);

/** The page that shows an instance, served by the compiled program, in a real browser. */

const THREADS = 300;
const RECORDS = 1000;
const HOSTILE = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>\u001b[31mred\u202edesrever\u2066`;

let host: Box;
let browser: Browser;
let url: string;
let admin: string;
beforeAll(async () => {
  [host, browser] = await Promise.all([Box.serving(), openBrowser()]);
  ({ url } = await host.json<Status>("status"));
  const goals = Array.from({ length: THREADS }, (_, i) => ({
    thread: `th_n${String(i).padStart(3, "0")}`,
    act: "INTEND",
    body: { goal: `goal number ${i}` },
  }));
  const steps = Array.from({ length: RECORDS }, (_, i) => ({
    thread: "th_long",
    act: i === 0 ? "INTEND" : "DO",
    body: i === 0 ? { goal: "the long one" } : { text: `step ${i}` },
  }));
  const hostile = { thread: "th_hostile", act: "INTEND", body: { goal: HOSTILE, [HOSTILE]: [HOSTILE] } };
  await host.emit([...goals, ...steps, hostile]);
  admin = await token("admin");
});
afterAll(async () => {
  await browser.close();
  await host[Symbol.asyncDispose]();
});

let accounts = 0;

async function token(scopes: string, box = host): Promise<string> {
  return (await box.json<MintedToken>("token", "create", `console-${++accounts}`, "--scopes", scopes)).token;
}

interface Visit extends BrowserContextOptions {
  /** Kept in the browser before the page is opened. */
  token?: string;
  at?: string;
}

/** The console in a profile of its own. Nothing it does may make the browser complain. */
async function withConsole(
  hash: string,
  use: (page: Page) => Promise<void>,
  { token, at = url, ...options }: Visit = {},
): Promise<void> {
  const { page, complaints } = await freshPage(browser, options);
  try {
    if (token !== undefined) {
      const kept = { token, account: "", device: null, scopes: [], instance_did: "" };
      await page.addInitScript((text) => {
        // Once: what the page forgets stays forgotten.
        if (sessionStorage.getItem("seeded") !== null) return;
        sessionStorage.setItem("seeded", "yes");
        localStorage.setItem("syncropel.credential", text);
      }, JSON.stringify(kept));
    }
    await page.goto(`${at}/${hash}`);
    await use(page);
    expect(complaints).toEqual([]);
  } finally {
    await page.context().close();
  }
}

const heading = (page: Page, name: string | RegExp) =>
  page.getByRole("heading", { level: 1, name, exact: true }).waitFor();
const live = (page: Page) => page.locator("#live").getByText("Live", { exact: true }).waitFor();
const rows = (page: Page) => page.locator(".rows > li:visible");
const more = (page: Page) => page.getByRole("button", { name: "Show more" });
const stored = (page: Page) => page.evaluate(() => localStorage.getItem("syncropel.credential"));
const focused = (page: Page) => page.evaluate<string>("document.activeElement.textContent");
const fits = (page: Page) => page.evaluate<boolean>("document.documentElement.scrollWidth <= innerWidth");
const counted = (page: Page, text: string) =>
  page.locator(".count").getByText(text, { exact: true }).waitFor();

test("a browser that is not signed in learns only the instance's name, and comes in by a code", async () => {
  const { code, device } = await host.json<PairingCode>("pair", "--device", "browser-desk");
  await withConsole("#/threads/th_n007", async (page) => {
    await heading(page, "Sign in");
    expect(await page.locator("nav").isVisible()).toBe(false);
    expect(await page.textContent("main")).not.toContain("goal number");
    expect(await page.getByRole("link", { name: `${url}/pair` }).getAttribute("href")).toBe("pair");
    const command = (await page.locator(".copyable code", { hasText: "spl pair" }).textContent())!;
    expect(command).toMatch(/^spl pair --device browser-[0-9a-f]{4} --url /);
    expect(command).toEndWith(` --url ${url} --scopes records:read`);

    const field = page.getByLabel("Code");
    await field.fill("123");
    await field.press("Enter");
    await page.getByRole("status").getByText("A code has twelve letters and digits").waitFor();
    expect(await field.getAttribute("aria-invalid")).toBe("true");

    await field.fill(code);
    await field.press("Enter");
    await page.getByRole("heading", { name: "Paired" }).waitFor();
    expect(await page.locator(".phrase").textContent()).toMatch(/^\w+( \w+)+$/);
    await page.getByRole("button", { name: "Open the console" }).click();
    // Where the address led to begin with.
    await heading(page, "goal number 7");
    await live(page);
    await page.getByRole("link", { name: "Overview" }).click();
    await page.getByText(`This browser is the device ${device}.`).waitFor();
  });
  const [row] = (await host.json<Device[]>("device", "list")).filter((each) => each.device === device);
  expect(row!.state).toBe("connected");
});

test("a token can be pasted and is forgotten when one signs out; what is none is refused in words", async () => {
  const bootstrap = await host.json<MintedToken>("token", "create", "--bootstrap");
  await withConsole("", async (page) => {
    const field = page.getByLabel("Token", { exact: true });
    for (const [text, words] of [
      ["not a token", "This is no token."],
      [`spl_live_nobody_${"A".repeat(43)}`, "token"],
      [bootstrap.token, "This is a bootstrap token, which works once."],
    ] as const) {
      await field.fill(text);
      await page.getByRole("button", { name: "Keep this token" }).click();
      await page.locator("#token-status.wrong").getByText(words).waitFor();
      expect(await stored(page)).toBeNull();
    }
    await field.fill(` ${admin} `);
    await field.press("Enter");
    await heading(page, "Overview");
    expect(await page.content()).not.toContain(admin);
    await page.reload();
    await heading(page, "Overview");
    await page.getByRole("button", { name: "Sign out" }).click();
    await heading(page, "Sign in");
    expect(await stored(page)).toBeNull();
    expect(await page.textContent("main")).not.toContain("Records");
  });
});

test("the overview says who the instance is and how much it holds, as spl status does", async () => {
  const status = await host.json<Status>("status");
  await withConsole(
    "",
    async (page) => {
      await live(page);
      const text = (await page.textContent("main"))!;
      for (const fact of [status.instance_did, status.digest, status.url, `spl ${status.version}`, "active"])
        expect(text).toContain(fact);
      const tiles = await page.locator(".tiles dd").allTextContents();
      expect(tiles.map((tile) => Number(tile.replace(",", "")))).toEqual([
        status.records,
        status.threads,
        status.forks,
      ]);
      await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
      await page.locator("header").getByRole("button", { name: "Copy the instance's DID" }).click();
      await page.locator("header").getByText("Copied").waitFor();
      expect(await page.evaluate<string>("navigator.clipboard.readText()")).toBe(status.instance_did);
    },
    { token: admin },
  );
});

test("300 threads come by pages, can be filtered, and the back button returns to them", async () => {
  const { threads } = await host.json<Status>("status");
  await withConsole(
    "#/threads",
    async (page) => {
      await live(page);
      await counted(page, `100 of ${threads} threads`);
      for (const shown of [200, 300]) {
        await more(page).click();
        await counted(page, `${shown} of ${threads} threads`);
      }
      await more(page).click();
      await counted(page, `${threads} threads`);
      expect(await focused(page)).toBe(`${threads} threads`);
      expect(await more(page).isVisible()).toBe(false);
      expect(await rows(page).count()).toBe(threads);

      await page.getByLabel("Filter").fill("NUMBER 29");
      await counted(page, `11 of the ${threads} threads shown here match`);
      expect(await rows(page).count()).toBe(11);
      await page.getByRole("link", { name: "goal number 299" }).click();
      await heading(page, "goal number 299");
      expect(await focused(page)).toBe("goal number 299");
      expect(await page.title()).toBe("goal number 299 · spl");
      expect(page.url()).toEndWith("#/threads/th_n299");
      await page.goBack();
      await heading(page, "Threads");
    },
    { token: admin },
  );
});

test("1,000 records come by pages in canonical order, and one that is emitted appears by itself", async () => {
  await withConsole(
    "#/threads/th_long",
    async (page) => {
      await heading(page, "the long one");
      await live(page);
      for (let shown = 100; shown < RECORDS; shown += 100) {
        await counted(page, `${shown} of 1,000 records`);
        await more(page).click();
      }
      await counted(page, "1,000 records");
      const said = await page.locator(".said bdi").allTextContents();
      expect(said.slice(1)).toEqual(Array.from({ length: RECORDS - 1 }, (_, i) => `step ${i + 1}`));

      // What is open and has the focus stays so.
      const opened = page.locator("summary", { hasText: "step 998" });
      await opened.focus();
      await page.keyboard.press("Enter");
      await page.getByRole("group", { name: "Body" }).getByText('"text": "step 998"').waitFor();
      await host.ok("do", "a step that nobody waited for", "--thread", "th_long");
      await page.getByText("a step that nobody waited for").waitFor();
      await counted(page, "1,001 records");
      expect(await page.locator("details[open]").count()).toBe(1);
      expect(await focused(page)).toContain("step 998");
    },
    { token: admin },
  );
});

test("a new thread and new totals appear by themselves, also after the instance was away", async () => {
  await using box = await Box.serving();
  await box.ok("intend", "the first");
  const { url: at } = await box.json<Status>("status");
  await withConsole(
    "#/threads",
    async (page) => {
      await live(page);
      await page.getByText("the first").waitFor();
      await box.ok("intend", "the second");
      await page.getByText("the second").waitFor();
      await page.getByRole("link", { name: "Threads 2" }).waitFor();

      await box.stop();
      await page.locator("#live").getByText("Reconnecting").waitFor();
      await box.serve("--port", new URL(at).port);
      await box.ok("intend", "the third");
      await page.getByText("the third").waitFor();
      await live(page);
    },
    { token: await token("records:read", box), at },
  );
});

test("a device that is revoked is signed out at once", async () => {
  const { link } = await host.json<PairingCode>("pair", "--device", "browser-lost");
  const { page } = await freshPage(browser);
  await page.goto(link);
  await page.getByRole("button", { name: "Pair this browser" }).click();
  // Both pages share the sign-in.
  await page.getByRole("link", { name: "Open the console" }).click();
  await page.getByRole("link", { name: "Threads" }).click();
  await live(page);
  await host.ok("device", "revoke", "browser-lost");
  await heading(page, "Sign in");
  await page.getByText("The sign-in of this browser has ended").waitFor();
  expect(await stored(page)).toBeNull();
  expect(await page.textContent("main")).not.toContain("goal number");
  await page.context().close();
});

test("what the token may not see says which scope it takes, and the rest works", async () => {
  await withConsole(
    "#/devices",
    async (page) => {
      await live(page);
      for (const name of ["Devices", "Backups"]) {
        await page.getByRole("link", { name }).click();
        await heading(page, name);
        await page
          .getByText("This takes the scope admin, which the token of this browser does not have")
          .waitFor();
        expect(await page.textContent("#view")).toContain(`--url ${url} --scopes admin`);
      }
      await page.getByRole("link", { name: "Pairs" }).click();
      await page.getByText("No pair yet.").waitFor();
    },
    { token: await token("records:read") },
  );
  await withConsole(
    "",
    async (page) => {
      await page.getByText("This takes the scope records:read").waitFor();
      await page.locator("#live").getByText("Not live").waitFor();
      await page.getByRole("link", { name: "th_n005" }).click();
      await heading(page, "goal number 5");
      expect(await rows(page).count()).toBe(1);
    },
    { token: await token("thread:th_n005:read") },
  );
});

test("devices, grants and bundles that moved are listed", async () => {
  await using box = await Box.serving();
  await box.ok("pair", "--device", "iPhone", "--scopes", "records:write");
  await box.ok("consent", "grant", "--from", "work", "--to", "*");
  await box.ok("export", "--out", box.file("b.tar.zst"));
  const { url: at } = await box.json<Status>("status");
  await withConsole(
    "#/devices",
    async (page) => {
      await page.locator(".card", { hasText: "iPhone" }).getByText("waiting").waitFor();
      await page.getByRole("link", { name: "Pairs" }).click();
      await page.getByText("namespace work → every pair").waitFor();
      await page.getByRole("link", { name: "Backups" }).click();
      await page.locator(".card", { hasText: "exported" }).getByText("included").waitFor();
    },
    { token: await token("admin", box), at },
  );
});

test("what is hostile in a record is shown as text, with its controls visible", async () => {
  const visible = String.raw`\x1b[31mred\u202edesrever\u2066`;
  await withConsole(
    "#/threads/th_hostile",
    async (page) => {
      await page.locator("summary").first().click();
      await page.getByRole("group", { name: "Body" }).waitFor();
      const text = (await page.textContent("main"))!;
      expect(text).toContain(`<script>document.title='owned'</script>${visible}`);
      expect(text).toContain(String.raw`\u001b[31mred\u202edesrever\u2066`);
      expect(/[\u001b\u202e\u2066]/.test(text + (await page.title()))).toBe(false);
      expect(await page.locator("main img, main script").count()).toBe(0);
      expect(await page.title()).toStartWith("<img src=x");
    },
    { token: admin },
  );
});

test("an address that leads nowhere says so", async () => {
  await withConsole(
    `#/threads/${encodeURIComponent("th_none/../../x")}`,
    async (page) => {
      await page.getByRole("alert").getByText("There is no thread th_none/../../x.").waitFor();
      await live(page);
      expect(await page.getByRole("alert").count()).toBe(1);
      await page.getByRole("link", { name: "Threads" }).first().click();
      await page.getByText("goal number 0").first().waitFor();
      expect(await page.getByRole("alert").count()).toBe(0);
    },
    { token: admin },
  );
});

test("a home whose identity has moved says where to", async () => {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(new ScratchHome());
  const directory = stack.use(await Machine.serving("", { flags: ["--directory"] }));
  const config = `directory = "${directory.url}"`;
  const laptop = stack.use(await Machine.serving(config));
  await laptop.ok("intend", "move house");
  const minted = await laptop.ok("token", "create", "console", "--scopes", "records:read", "-o", "json");
  const bundle = `${folder.path}/laptop.tar.zst`;
  await laptop.ok("export", "--out", bundle);
  const server = stack.use(await Machine.serving(config));
  await server.ok("import", bundle);
  await laptop.until(({ state }) => state === "superseded");
  await withConsole(
    "",
    async (page) => {
      const banner = page.getByRole("alert");
      await banner.getByText("This identity has moved").waitFor();
      expect(await banner.getByRole("link").getAttribute("href")).toBe(server.url);
      expect(await banner.textContent()).toContain("spl serve --reclaim");
      await page.locator("header").getByText("superseded").waitFor();
      expect(await complaintsOfAxe(page)).toEqual([]);
    },
    { token: (JSON.parse(minted) as MintedToken).token, at: laptop.url },
  );
});

test("all of it works by keyboard alone", async () => {
  await withConsole(
    "",
    async (page) => {
      await live(page);
      await page.keyboard.press("Tab");
      expect(await focused(page)).toBe("Skip to the content");
      await page.keyboard.press("Enter");
      expect(await focused(page)).toBe("Overview");
      expect(page.url()).toBe(`${url}/`);
      await tabTo(page, "Threads", "Shift+Tab");
      await page.keyboard.press("Enter");
      await heading(page, "Threads");
      await until(
        () => focused(page),
        (text) => text === "Threads",
      );
      await page.keyboard.press("Tab");
      await page.keyboard.type("number 42");
      await page.keyboard.press("Tab");
      expect(await focused(page)).toBe("goal number 42");
      await page.keyboard.press("Enter");
      await heading(page, "goal number 42");
      await tabTo(page, "INTEND", "Tab");
      await page.keyboard.press("Enter");
      await page.getByRole("group", { name: "Body" }).waitFor();
      await page.keyboard.press("Tab");
      expect(await focused(page)).toContain('"goal": "goal number 42"');
    },
    { token: admin },
  );
});

/** Presses a key until what begins with `text` has the focus. */
async function tabTo(page: Page, text: string, key: string): Promise<void> {
  for (let n = 0; n < 20; n++) {
    await page.keyboard.press(key);
    if ((await focused(page)).startsWith(text)) return;
  }
  throw new Error(`${key} never came to ${text}`);
}

for (const [screen, options] of [
  ["a phone in the dark", { ...PHONE, colorScheme: "dark" }],
  ["a wide screen in the light", { colorScheme: "light" }],
] as const) {
  test(`every view fits ${screen}, and axe finds nothing wrong with it`, async () => {
    await withConsole(
      "",
      async (page) => {
        await heading(page, "Sign in");
        expect([await fits(page), await complaintsOfAxe(page)]).toEqual([true, []]);
      },
      options,
    );
    await withConsole(
      "",
      async (page) => {
        await live(page);
        for (const hash of ["#/", "#/threads", "#/threads/th_hostile", "#/pairs", "#/devices", "#/backups"]) {
          await page.goto(`${url}/${hash}`);
          await page.locator("main:not([aria-busy]) h1").waitFor();
          for (const summary of await page.locator("summary").all()) await summary.click();
          expect([hash, await fits(page), await complaintsOfAxe(page)]).toEqual([hash, true, []]);
        }
      },
      { ...options, token: admin },
    );
  });
}

test("an instance that asks nobody for a token shows itself, and one that is away says so", async () => {
  await using box = await Box.serving("--insecure-localhost");
  const { url: at } = await box.json<Status>("status");
  await withConsole(
    "",
    async (page) => {
      await page.getByText("Nobody is asked for a token on this machine").waitFor();
      await live(page);
      expect(await page.getByRole("button", { name: "Sign out" }).count()).toBe(0);
      await page.route("**/v1/token", (route) => route.abort());
      await page.reload();
      await heading(page, "No connection");
      await page.unroute("**/v1/token");
      await page.getByRole("button", { name: "Try again" }).click();
      await heading(page, "Overview");
    },
    { at },
  );
});
