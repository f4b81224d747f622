import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import type { MintedToken } from "../../lib/api/wire.ts";
import { Box } from "../kit/box.ts";
import { complaintsOfAxe, freshPage, openBrowser, PHONE } from "../kit/browser.ts";
import { HostingProcess, type Provision } from "../kit/hosting.ts";

setDefaultTimeout(120_000);

/** From a page to a connected command line, in a real browser, with the compiled program on both ends. */

let hosting: HostingProcess;
let browser: Browser;
beforeAll(async () => {
  [hosting, browser] = await Promise.all([HostingProcess.start(), openBrowser()]);
});
afterAll(async () => {
  await browser.close();
  await hosting[Symbol.asyncDispose]();
});

/** A command line on another machine: a home of its own, in which nothing runs. */
function laptop(url: string): Box {
  const box = new Box();
  box.home.env.SPL_SERVE_URL = url;
  return box;
}

async function begin(page: Page, label: string): Promise<void> {
  await page.goto(`${hosting.url}/start`);
  await page.getByLabel("Label").fill(label);
  await page.getByText(`✓ ${label} is free.`).waitFor();
  await page.getByRole("button", { name: "Start it" }).click();
}

test("the journey: start, phases, first run, three commands, import through the proxy, the same DID", async () => {
  await using source = await Box.serving();
  await source.emit(
    Array.from({ length: 247 }, (_, i) => ({
      thread: `th_${i % 18}`,
      act: "DO",
      body: { text: `note ${i}` },
    })),
  );
  const bundle = source.file("migration.tar.zst");
  await source.ok("export", "--out", bundle);
  const before = await source.json<{ instance_did: string; digest: string }>("status");

  const { page, complaints } = await freshPage(browser);
  await begin(page, "myteam");
  // Made while the page looks on, it opens its first-run page by itself.
  await page.waitForURL("**/first-run/*", { timeout: 60_000 });
  const link = page.url();
  await page.getByRole("button", { name: "Show the bootstrap token" }).click();
  const url = (await page.locator("#url").textContent())!;
  expect(url).toBe(hosting.url.replace("localhost", "myteam.localhost"));
  const commands = await page.locator("[id^=command-]:not([id$=title])").allTextContents();
  expect(commands).toHaveLength(3);

  // What the page says is typed as it stands there.
  await using box = new Box();
  const exported = /^export SPL_SERVE_URL=(\S+)$/.exec(commands[0]!)![1]!;
  box.home.env.SPL_SERVE_URL = exported;
  await box.ok(...commands[1]!.split(" ").slice(1));
  expect(await box.ok(...commands[2]!.split(" ").slice(1))).toContain("did:sync:instance:myteam-");

  const imported = await box.ok("import", bundle);
  expect(imported).toContain("records inserted:    247");
  expect(imported).toContain("identity:            adopted (private key matches incoming bundle)");
  const after = await box.json<{ instance_did: string; digest: string }>("status");
  expect({ did: after.instance_did, digest: after.digest }).toEqual({
    did: before.instance_did,
    digest: before.digest,
  });

  // The link says when it was used, and the owner's browser can have another.
  await page.goto(link);
  await page.getByRole("heading", { name: "The token was shown" }).waitFor();
  expect(await page.locator("time").getAttribute("datetime")).toMatch(/^\d{4}-\d\d-\d\dT/);
  await page.getByRole("button", { name: "Regenerate bootstrap token" }).click();
  await page.getByRole("button", { name: "Show the bootstrap token" }).click();
  const second = (await page.locator("#token").textContent())!;
  await using phone = laptop(exported);
  await phone.ok("token", "save", second);
  expect((await phone.json<{ instance_did: string }>("status")).instance_did).toBe(before.instance_did);
  expect(complaints).toEqual([]);
  await page.context().close();
});

test("an answer that got lost is asked for again, and the instance has its owner", async () => {
  const { page } = await freshPage(browser);
  await page.route("**/v1/provision", async (route) => {
    // It reaches the service, and nothing comes back.
    await route.fetch();
    await route.abort();
    await page.unroute("**/v1/provision");
  });
  await begin(page, "lost-answer");
  await page.getByText("cannot be reached").waitFor();
  await page.context().clearCookies();
  await page.getByRole("button", { name: "Start it" }).click();
  await page.waitForURL("**/first-run/*", { timeout: 60_000 });
  await page.goto(`${hosting.url}/instances`);
  await page.getByRole("heading", { name: "lost-answer" }).waitFor();
  await page.context().close();
});

test("a label that is taken, reserved or odd is told while it is typed", async () => {
  await hosting.visitor().instance("occupied");
  const { page } = await freshPage(browser);
  await page.goto(`${hosting.url}/start`);
  for (const [label, why] of [
    ["occupied", "it is taken"],
    ["www", "it is reserved"],
    ["ab", "it is too short"],
    ["Team", "it has capital letters"],
    ["tеam", "U+0435 is no letter of a-z, however it looks"],
    ["xn--team", "it has two hyphens where internationalised names have them"],
  ] as const) {
    await page.getByLabel("Label").fill(label);
    await page.getByText(`${label} cannot be had: ${why}.`).waitFor();
  }
  // Sent all the same, it is refused in words.
  await page.getByLabel("Label").fill("occupied");
  await page.keyboard.press("Enter");
  await page.getByText("The label occupied is taken.").waitFor();
  // Somebody may be faster than the one who was told that it is free.
  await page.getByLabel("Label").fill("nobody-yet");
  await page.getByText("✓ nobody-yet is free.").waitFor();
  await hosting.visitor().instance("nobody-yet");
  await page.getByRole("button", { name: "Start it" }).click();
  await page.getByText("The label nobody-yet is taken.").waitFor();
  expect(await page.getByText("✓ nobody-yet is free.").count()).toBe(0);
  await page.context().close();
});

test("what went wrong is told at once, also while it cannot be removed yet", async () => {
  await using broken = await HostingProcess.start();
  const blocked = join(broken.folder, "instances");
  await Bun.write(blocked, "no folder");
  const { page, complaints } = await freshPage(browser);
  await page.goto(`${broken.url}/start`);
  await page.getByLabel("Label").fill("unlucky");
  await page.getByRole("button", { name: "Start it" }).click();
  await page.getByText("Internal error. Tell who runs this service, and try again.").waitFor();
  await page.getByText("What was made of it is being removed; then the label is free.").waitFor();
  expect(await page.getByRole("button", { name: "Try again" }).isVisible()).toBe(false);
  await Bun.file(blocked).delete();
  // Whoever looks has it tried again.
  await page.context().request.get(`${broken.url}/v1/provision/${new URL(page.url()).hash.slice(1)}`);
  await page.getByText("Nothing was left behind, and the label is free.").waitFor();
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByRole("button", { name: "Start it" }).click();
  await page.waitForURL("**/first-run/*", { timeout: 60_000 });
  expect(complaints).toEqual([]);
  await page.context().close();
});

test("whoever clicks twice for the token gets it all the same", async () => {
  const { first_run_url } = await hosting.visitor().instance("impatient");
  const { page, complaints } = await freshPage(browser);
  await page.goto(first_run_url);
  const box = (await page.getByRole("button", { name: "Show the bootstrap token" }).boundingBox())!;
  const press = () => page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
  let sent = 0;
  await page.route(first_run_url, async (route) => {
    // The instance needs a moment for it, in which an impatient person clicks again.
    if (++sent === 1) await press();
    await route.continue();
  });
  await press();
  await page.getByRole("heading", { name: "Connect the CLI" }).waitFor();
  expect(sent).toBe(1);
  expect(await page.locator("#token").textContent()).toStartWith("spl_boot_");
  expect(complaints).toEqual([]);
  await page.context().close();
});

test("pages have no fault that a screen reader would meet, and fit a phone", async () => {
  const visitor = hosting.visitor();
  const provision = await visitor.instance("readable");
  const [name, value] = visitor.cookie.split("=") as [string, string];
  for (const options of [{}, PHONE, { colorScheme: "dark" as const }]) {
    const { page, complaints } = await freshPage(browser, { ...options, bypassCSP: true });
    await page.context().addCookies([{ name, value, url: hosting.url }]);
    const { first_run_url } = await visitor.json<Provision>(`/v1/provision/${provision.id}/regenerate`, {
      method: "POST",
    });
    const link = new URL(first_run_url).pathname;
    const acts: Record<string, () => Promise<void>> = {
      "/instances": async () => {
        await page.getByRole("button", { name: "New recovery code" }).click();
        await page.getByRole("button", { name: "Copy the recovery code" }).waitFor();
      },
      "/instances?leaving": async () => {
        await page.getByRole("button", { name: "Leave…" }).click();
        await page.getByRole("heading", { name: "Leave with readable" }).waitFor();
      },
      [`${link}?revealed`]: async () => {
        await page.getByRole("button", { name: "Show the bootstrap token" }).click();
        await page.getByRole("heading", { name: "Connect the CLI" }).waitFor();
      },
    };
    for (const path of ["/start", link, ...Object.keys(acts), "/recover", `${link}?used`, "/nothing-here"]) {
      await page.goto(hosting.url + path);
      await acts[path]?.();
      expect({ path, violations: await complaintsOfAxe(page) }).toEqual({ path, violations: [] });
      // By the elements: a page that cuts off what is too wide has nothing to scroll.
      const outside = await page.evaluate<string[]>(
        "[...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > document.documentElement.clientWidth).map((e) => `${e.tagName} ${e.id}`)",
      );
      expect({ path, outside }).toEqual({ path, outside: [] });
    }
    expect(complaints).toEqual([]);
    await page.context().close();
  }
});

test("an owner makes a new recovery code, signs out, and comes back by it", async () => {
  const { page, complaints } = await freshPage(browser);
  await begin(page, "forgetful");
  await page.waitForURL("**/first-run/*", { timeout: 60_000 });
  await page.goto(`${hosting.url}/instances`);
  await page.getByRole("button", { name: "New recovery code" }).click();
  const code = (await page.locator("#code code").textContent())!;
  await page.getByRole("button", { name: "Sign out of this browser" }).click();
  await page.getByText("This browser has none.").waitFor();
  expect(await page.content()).not.toContain(code);
  await page.getByRole("link", { name: "sign in with your recovery code" }).click();
  await page.getByLabel("Recovery code").fill(code);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "forgetful" }).waitFor();
  expect(complaints).toEqual([]);
  await page.context().close();
});

test("a recovery code that is void is not on the page, and no answer is taken for a newer one", async () => {
  const { page } = await freshPage(browser);
  await begin(page, "void-codes");
  await page.waitForURL("**/first-run/*", { timeout: 60_000 });
  await page.goto(`${hosting.url}/instances`);
  const press = page.getByRole("button", { name: "New recovery code" });
  const code = page.locator("#code code");
  await press.click();
  const first = (await code.textContent())!;
  let answer = () => {};
  const answered = new Promise<void>((resolve) => {
    answer = resolve;
  });
  await page.route("**/v1/recovery-code", async (route) => {
    // The service has it, and the answer is lost on the way.
    await route.fetch();
    await answered;
    await route.abort();
    await page.unroute("**/v1/recovery-code");
  });
  await press.click();
  await page.getByText("Making a new one…").waitFor();
  expect([await press.isDisabled(), await code.count()]).toEqual([true, 0]);
  answer();
  await page.getByText("The code that you had may be void now").waitFor();
  expect([await press.isDisabled(), await code.count()]).toEqual([false, 0]);
  await press.click();
  const second = (await code.textContent())!;
  expect(second).not.toBe(first);
  const recover = (typed: string) => hosting.visitor().call("/v1/recover", { json: { code: typed } });
  expect([(await recover(first)).status, (await recover(second)).status]).toEqual([401, 200]);
  await page.context().close();
});

test("to sign out without a connection is told not to have worked", async () => {
  const { page } = await freshPage(browser);
  await begin(page, "offline-one");
  await page.waitForURL("**/first-run/*", { timeout: 60_000 });
  await page.goto(`${hosting.url}/instances`);
  await page.getByRole("heading", { name: "offline-one" }).waitFor();
  await page.context().setOffline(true);
  await page.getByRole("button", { name: "Sign out of this browser" }).click();
  await page.getByText("The service cannot be reached.").waitFor();
  await page.getByRole("heading", { name: "offline-one" }).waitFor();
  await page.context().close();
});

test("an owner takes the bundle and leaves; the address says where the identity went", async () => {
  const { page, complaints } = await freshPage(browser, { acceptDownloads: true });
  await begin(page, "leaver");
  await page.waitForURL("**/first-run/*", { timeout: 60_000 });
  await page.getByRole("button", { name: "Show the bootstrap token" }).click();
  const url = (await page.locator("#url").textContent())!;
  await using box = laptop(url);
  await box.ok("token", "save", (await page.locator("#token").textContent())!);
  await box.ok("intend", "see the world");

  await page.goto(`${hosting.url}/instances`);
  // Without a bundle there is no way out by accident.
  await page.getByRole("button", { name: "Leave…" }).click();
  const act = page.getByRole("button", { name: "End it" });
  expect(await act.isDisabled()).toBe(true);
  const broken = box.file("broken.tar.zst");
  await Bun.write(broken, "no bundle at all");
  await page.locator("#end-file").setInputFiles(broken);
  await page.getByText("broken.tar.zst is no whole bundle").waitFor();
  expect(await act.isDisabled()).toBe(true);
  await page.getByRole("button", { name: "Keep it" }).click();
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("link", { name: "Download the bundle" }).click(),
  ]);
  const bundle = box.file("final.tar.zst");
  await download.saveAs(bundle);
  // What is newer than the file is not lost with it.
  await box.ok("know", "one more thing");
  await page.getByRole("button", { name: "Leave…" }).click();
  await page.locator("#end-file").setInputFiles(bundle);
  await page.getByText("✓ final.tar.zst is whole.").waitFor();
  await act.click();
  await page.getByText("The bundle is not what the instance holds now.").waitFor();
  await page.getByRole("button", { name: "Keep it" }).click();
  const again = page.waitForEvent("download");
  await page.getByRole("link", { name: "Download the bundle" }).click();
  await (await again).saveAs(bundle);

  // At home, with the service's directory: the new home says so there.
  await using home = new Box();
  await home.join();
  await home.stop();
  const config = `${home.home.env.SYNCROPEL_HOME}/config.toml`;
  await Bun.write(config, `directory = "${hosting.url}"\n`);
  await home.join();
  await home.ok("import", "--force-overwrite", bundle);
  const { instance_did, url: address } = await home.json<{ instance_did: string; url: string }>("status");

  await page.getByRole("button", { name: "Leave…" }).click();
  await page.locator("#end-file").setInputFiles(bundle);
  await page.getByText("✓ final.tar.zst is whole.").waitFor();
  await act.click();
  await page.locator("dd", { hasText: "left" }).waitFor();
  const { status, stderr } = await box.spl(["status"]);
  expect(status).toBe(3);
  expect(stderr).toContain(`${instance_did} lives at ${address}`);
  expect(stderr).toContain(`export SPL_SERVE_URL=${address}`);
  expect(complaints).toEqual([]);
  await page.context().close();
});

test("an open console delays nobody's leaving, and says that the instance is gone", async () => {
  const owner = hosting.visitor();
  const provision = await owner.instance("watched-one");
  await using box = laptop(provision.url);
  await box.ok("token", "save", (await owner.reveal(provision)).token);
  const { token } = await box.json<MintedToken>("token", "create", "console", "--scopes", "admin");
  const { page, complaints } = await freshPage(browser);
  const kept = { token, account: "", device: null, scopes: [], instance_did: "" };
  await page.addInitScript(`localStorage.setItem("syncropel.credential", '${JSON.stringify(kept)}')`);
  await page.goto(provision.url);
  await page.locator("#live", { hasText: "Live" }).waitFor();
  await page.getByText("active").first().waitFor();

  const file = box.file("mine.tar.zst");
  await box.ok("export", "--out", file);
  const { bundle_sha256 } = await box.json<{ bundle_sha256: string }>("verify", file);
  const left = await owner.call(`/v1/provision/${provision.id}/leave`, {
    json: { bundle_sha256 },
    // The requests that are under way would have half a minute.
    signal: AbortSignal.timeout(20_000),
  });
  expect(await left.json()).toMatchObject({ state: "left" });
  await page.getByRole("heading", { name: "This instance is gone" }).waitFor();
  await page.getByText("The instance watched-one has left").waitFor();
  expect([
    await page.locator("#live").isVisible(),
    await page.locator("#nav").isVisible(),
    await page.getByText("active").count(),
    await page.getByText("did:sync:instance:").count(),
  ]).toEqual([false, false, 0, 1]);
  expect(complaints).toEqual([]);
  await page.context().close();
});

test("an owner who wants no bundle says so, and is told what that means", async () => {
  const { page, complaints } = await freshPage(browser);
  await begin(page, "given-up");
  await page.waitForURL("**/first-run/*", { timeout: 60_000 });
  await page.goto(`${hosting.url}/instances`);
  await page.getByRole("button", { name: "Delete…" }).click();
  await page.getByLabel("I do not want a bundle: everything is lost, its identity too").check();
  await page.getByRole("button", { name: "End it, everything is lost" }).click();
  await page.locator("dd", { hasText: "deleted" }).waitFor();
  expect((await fetch(`${hosting.url.replace("localhost", "given-up.localhost")}/health`)).status).toBe(410);
  expect(complaints).toEqual([]);
  await page.context().close();
});
