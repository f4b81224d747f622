import { readFileSync } from "node:fs";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";

/** Debian's Chromium, as a person would use it. The test fails where it is missing. */
const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/**
 * @param flags further command line flags of Chromium
 * @throws Error that says what to install
 */
export async function openBrowser(flags: string[] = []): Promise<Browser> {
  const executablePath = PLACES.find((path) => Bun.which(path) !== null);
  if (executablePath === undefined) {
    throw new Error("Chromium is missing; run `apt-get install -y --no-install-recommends chromium`");
  }
  // Its sandbox does not start for root.
  const args = [...(process.getuid?.() === 0 ? ["--no-sandbox"] : []), ...flags];
  return chromium.launch({ executablePath, args, timeout: 60_000 });
}

export const PHONE: BrowserContextOptions = {
  viewport: { width: 360, height: 640 },
  deviceScaleFactor: 2,
  isMobile: true,
  hasTouch: true,
};

/** A page of a browser profile of its own, and what it complained of: script errors and what its policy refused. */
export async function freshPage(
  browser: Browser,
  options: BrowserContextOptions = {},
): Promise<{ page: Page; complaints: string[] }> {
  const context = await browser.newContext({ ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    // A refused code is an answer of status 403, which the browser tells as well.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) {
      complaints.push(message.text());
    }
  });
  return { page, complaints };
}

/**
 * What axe-core finds wrong with a page as it stands, by WCAG 2.2 A and AA and its best practices: each rule with the
 * elements that break it. Its source is evaluated beside the page's policy, which lets no script of others in.
 */
export async function axeViolations(page: Page): Promise<string[]> {
  await page.evaluate(readFileSync(require.resolve("axe-core/axe.min.js"), "utf8"));
  const { violations } = await page.evaluate<{ violations: { id: string; nodes: { target: string[] }[] }[] }>(
    "axe.run()",
  );
  return violations.map(
    ({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(" ")).join(", ")}`,
  );
}
