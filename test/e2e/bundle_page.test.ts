import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { generateIdentity, identityToRecipient } from "age-encryption";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { type EncryptTo, encryptStream } from "../../lib/bundle/encrypt.ts";
import { BAD_BUNDLES, GOOD_TAR } from "../kit/bad_bundles.ts";
import { Box } from "../kit/box.ts";
import { complaintsOfAxe, freshPage, openBrowser, PHONE } from "../kit/browser.ts";
import {
  alice,
  bob,
  chain,
  chunked,
  gather,
  manifestOf,
  sourceOf,
  unpack,
  write,
} from "../kit/bundle_kit.ts";
import { makeEntry } from "../kit/records.ts";

setDefaultTimeout(60_000);

/** The page that verifies a bundle where it is, served by the compiled program, in a real browser. */

let host: Box;
let browser: Browser;
let url: string;
beforeAll(async () => {
  [host, browser] = await Promise.all([Box.serving(), openBrowser()]);
  ({ url } = await host.json<{ url: string }>("status"));
});
afterAll(async () => {
  await browser.close();
  await host[Symbol.asyncDispose]();
});

/** The page in a profile of its own. It may complain of nothing, and ask for nothing but itself and its worker. */
async function withPage(
  use: (page: Page) => Promise<void>,
  { address = `${url}/bundle`, ...options }: BrowserContextOptions & { address?: string } = {},
): Promise<void> {
  const { page, complaints } = await freshPage(browser, options);
  // Plain JavaScript does here what native code does elsewhere.
  page.setDefaultTimeout(40_000);
  const requests = new Set<string>();
  page.on("request", (request) => requests.add(`${request.method()} ${request.url()}`));
  try {
    await page.goto(address);
    await use(page);
    expect(complaints).toEqual([]);
    requests.delete(`GET ${address}/worker.js`);
    expect([...requests]).toEqual([`GET ${address}`]);
  } finally {
    await page.context().close();
  }
}

async function choose(page: Page, name: string, file: Uint8Array): Promise<void> {
  const buffer = Buffer.from(file);
  await page.setInputFiles("#file", { name, mimeType: "application/octet-stream", buffer });
}

const focused = (page: Page) => page.evaluate<string>("document.activeElement.id");
const verified = (page: Page) => page.getByRole("heading", { name: "✓ Verified" }).waitFor();
const refused = (page: Page) => page.getByRole("heading", { name: "✗ Not a good bundle" }).waitFor();

const checked = (page: Page) => page.locator("#checked li").allTextContents();

/** The names and values that the page shows. */
async function facts(page: Page): Promise<Record<string, string>> {
  const [terms, values] = await Promise.all([
    page.locator("#facts dt").allTextContents(),
    page.locator("#facts dd").allTextContents(),
  ]);
  return Object.fromEntries(terms.map((term, i) => [term, values[i]!]));
}

/** Drops files onto the page as a hand would. */
async function drop(page: Page, ...files: { name: string; bytes: Uint8Array }[]): Promise<void> {
  const contents = files.map(({ name, bytes }) => ({ name, base64: bytes.toBase64() }));
  const dataTransfer = await page.evaluateHandle(`{
    const transfer = new DataTransfer();
    for (const { name, base64 } of ${JSON.stringify(contents)})
      transfer.items.add(new File([Uint8Array.fromBase64(base64)], name));
    transfer;
  }`);
  for (const type of ["dragenter", "dragover", "drop"])
    await page.dispatchEvent("#drop", type, { dataTransfer });
}

describe("a good bundle", () => {
  test("of each compression is verified, one behind the other, and its manifest, identity, threads and records are shown", async () => {
    const own = chain(alice, "th_a", 13);
    const source = () => sourceOf(alice, [...own, ...chain(bob, "th_b", 2)]);
    const manifest = manifestOf(await unpack(await write(source())));
    await withPage(async (page) => {
      for (const [compression, name] of [
        ["none", "b.tar"],
        ["gz", "b.tar.gz"],
        ["zst", "b.tar.zst"],
      ] as const) {
        const file = await write(source(), compression);
        if (compression === "gz") await choose(page, name, file);
        else await drop(page, { name, bytes: file });
        await page.getByText(`${name} is whole, and nothing in it was changed.`).waitFor();
        await verified(page);
        expect(await focused(page)).toBe("verdict");
        await Bun.write(host.file(name), file);
        const { digest } = await host.json("verify", host.file(name));
        expect(await facts(page)).toEqual({
          "Source DID": alice.did,
          "Key fingerprint": alice.key.fingerprint,
          Format: "spl-bundle, version 1",
          Records: "15",
          Threads: "2",
          "Federation pairs": "0",
          "Consent grants": "0",
          Identity: "included",
          Tokens: "none",
          "Records root": manifest.records_root,
          "Bundle SHA-256": manifest.bundle_sha256,
          "Other signers": "1",
          "Service accounts": "0",
          Digest: String(digest),
        });
      }
      expect(await page.getByText("can act as this instance").isVisible()).toBe(true);
      const threads = page.locator("#threads > li");
      expect(await threads.locator("summary").allInnerTexts()).toEqual([
        "th_a\n13 records",
        "th_b\n2 records",
      ]);
      await threads.first().locator("summary").click();
      const records = threads.first().locator("li");
      // They are made when the browser has told that it is open.
      await records.nth(9).waitFor();
      expect(await records.count()).toBe(10);
      const { id, actor } = own[0]!;
      expect(await records.first().locator("p").allTextContents()).toEqual([
        `INTEND at clock 0 by ${actor}`,
        '{"text":"step 0"}',
        id,
      ]);
      expect(await threads.first().textContent()).toEndWith("and 3 records more");
    });
  });

  test("of every release, and one without its identity, which is no danger to show", async () => {
    await withPage(async (page) => {
      const golden = new URL("../../fixtures/bundles/good/version-1.tar", import.meta.url);
      await choose(page, "version-1.tar", readFileSync(golden));
      await verified(page);
      await choose(
        page,
        "none.tar",
        await write(sourceOf(alice, chain(alice, "th_a", 1), { identity: "none" })),
      );
      await page.getByText("none.tar is whole").waitFor();
      expect((await facts(page)).Identity).toBe("none");
      expect(await page.getByText("can act as this instance").isVisible()).toBe(false);
    });
  });

  test("of many records keeps the page alive: progress, a bounded list, the next file", async () => {
    const text = "x".repeat(400);
    const entries = Array.from({ length: 250 }, (_, n) =>
      chain(alice, `th_${String(n).padStart(3, "0")}`, 80, text),
    );
    await Bun.write(host.file("large.tar.gz"), await write(sourceOf(alice, entries.flat()), "gz"));
    await Bun.write(host.file("large.tar"), await write(sourceOf(alice, entries.flat())));
    await withPage(async (page) => {
      await page.evaluate(`{
        const bar = document.querySelector("progress");
        globalThis.seen = [];
        new MutationObserver(() => seen.push(bar.value)).observe(bar, { attributes: true });
      }`);
      await page.setInputFiles("#file", host.file("large.tar"));
      await verified(page);
      const seen = await page.evaluate<number[]>("seen");
      expect(seen.length).toBeGreaterThan(10);
      expect(seen).toEqual(seen.toSorted((a, b) => a - b));
      expect(seen.at(-1)).toBe(1);
      expect((await facts(page)).Records).toBe("20000");
      expect(await page.locator("#threads > li").count()).toBe(200);
      expect(await page.locator("#more").textContent()).toBe("and 50 threads more");
      await page.setInputFiles("#file", host.file("large.tar.gz"));
      await page.getByText("large.tar.gz is whole").waitFor();
    });
  });
});

test("a file that is no good bundle is refused in the words of spl verify", async () => {
  await withPage(async (page) => {
    for (const [n, [, file, message]] of BAD_BUNDLES.entries()) {
      await choose(page, `bad-${n}`, await file());
      await page
        .getByText(`bad-${n}. Nothing was changed; export the bundle again from its source.`)
        .waitFor();
      await refused(page);
      expect(await page.locator("#sentence").textContent()).toBe(`bundle malformed: ${message}`);
    }
    await choose(page, "good.tar", GOOD_TAR);
    await verified(page);
  });
});

test("what was right before the first fault is told", async () => {
  await withPage(async (page) => {
    const flip = GOOD_TAR.slice();
    flip[Buffer.from(GOOD_TAR).indexOf("records/th_b/") + 520]! ^= 1;
    await choose(page, "flip.tar", flip);
    await refused(page);
    expect(await checked(page)).toEqual([
      "The manifest is signed by the key that its DID names",
      "The DID document and the public key are the manifest's, and so is the private key",
      "The lists of other signers and of service accounts are in order",
      "3 records in 1 thread, each with its hash, order and signature",
    ]);
    expect((await facts(page)).Records).toBe("4");
    await choose(page, "text", Buffer.from("hello\n"));
    await page.getByText("text. Nothing was changed").waitFor();
    for (const id of ["before", "said", "held"]) expect(await page.locator(`#${id}`).isVisible()).toBe(false);
  });
});

test("bodies, actors and file names stay text", async () => {
  const hostile = '<img src=x onerror="document.title=1"><script>document.title=2</script>\x1b[31m\u202e\x9b';
  const entry = makeEntry({ thread: "th_a", body: { [hostile]: hostile } }, { signer: alice });
  await withPage(async (page) => {
    await choose(page, '<b onclick="x">.tar', await write(sourceOf(alice, [entry])));
    await verified(page);
    await page.locator("summary").click();
    const text = await page.locator("#threads li li").textContent();
    expect(text).toContain("<script>document.title=2</script>\\u001b[31m\\u202e\\x9b");
    expect(text).not.toMatch(/[\x1b\x9b\u202e]/);
    expect(await page.locator("main img, main script, main b").count()).toBe(0);
    expect(await page.title()).toBe("Verify a bundle");
  });
});

describe("an encrypted bundle", () => {
  const encrypted = async (to: EncryptTo) => gather(encryptStream(chunked(GOOD_TAR), to));

  test("opens with its passphrase or its key, and says how to do it in a terminal", async () => {
    const identity = await generateIdentity();
    const recipients = [await identityToRecipient(identity)];
    const [byPassphrase, byKey] = [
      await encrypted({ passphrase: "corr ect" }),
      await encrypted({ recipients }),
    ];
    await withPage(async (page) => {
      const field = page.getByLabel("Passphrase, or the line");
      const status = page.getByRole("status");
      await choose(page, "my b.tar.age", byPassphrase);
      await page.getByText("spl verify 'my b.tar.age' --decrypt-key key.txt").waitFor();
      expect(await focused(page)).toBe("secret");
      expect(await complaintsOfAxe(page)).toEqual([]);
      await page.keyboard.type("wrong");
      await page.keyboard.press("Enter");
      await status.getByText("The passphrase does not open this bundle.").waitFor();
      expect(await field.getAttribute("aria-invalid")).toBe("true");
      expect(await field.inputValue()).toBe("");
      await page.keyboard.type("corr ect");
      await page.keyboard.press("Enter");
      await verified(page);
      expect(await page.getByText("can act as this instance").isVisible()).toBe(false);

      await choose(page, "b.tar.age", byKey);
      await field.fill(await generateIdentity());
      await page.keyboard.press("Enter");
      await status.getByText("None of the keys opens this bundle.").waitFor();
      await field.fill(`# created: today # public key: ${recipients[0]} ${identity}`);
      await page.keyboard.press("Enter");
      await verified(page);
      await choose(page, "cut.tar.age", byKey.subarray(0, -9));
      await field.fill(identity);
      await page.keyboard.press("Enter");
      await refused(page);
      expect(await page.locator("#sentence").textContent()).toBe(
        "bundle malformed: age: is damaged or cut off",
      );
    });
  });
});

test("the keyboard alone is enough", async () => {
  await withPage(async (page) => {
    // Asked for ahead of the keys, since Chromium has to be told that no window shall open.
    const chosen = page.waitForEvent("filechooser");
    await page.keyboard.press("Tab");
    expect(await focused(page)).toBe("choose");
    await page.keyboard.press("Enter");
    const chooser = await chosen;
    await chooser.setFiles({ name: "b.tar", mimeType: "", buffer: Buffer.from(GOOD_TAR) });
    await verified(page);
    expect(await focused(page)).toBe("verdict");
    await page.keyboard.press("Tab");
    expect(await focused(page)).toBe("choose");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.getByText('{"text":"step 0"}').first().waitFor();
  });
});

test("reading can be cancelled, and the next file is read", async () => {
  const { page } = await freshPage(browser);
  await page.goto(`${url}/bundle`);
  // The worker never arrives, so that there is time.
  await page.route("**/worker.js", () => undefined);
  await choose(page, "b.tar", GOOD_TAR);
  await page.getByRole("status").getByText("Reading b.tar").waitFor();
  expect(await focused(page)).toBe("cancel");
  expect(await complaintsOfAxe(page)).toEqual([]);
  await page.keyboard.press("Enter");
  await page.getByRole("status").getByText("Cancelled. Nothing was kept.").waitFor();
  expect(await page.getByRole("progressbar").isVisible()).toBe(false);
  expect(await focused(page)).toBe("choose");
  await page.unroute("**/worker.js");
  await choose(page, "b.tar", GOOD_TAR);
  await verified(page);
  await page.context().close();
});

test("no worker, no file, too many files, too old a browser: each is told", async () => {
  const { page } = await freshPage(browser);
  await page.goto(`${url}/bundle`);
  const status = page.getByRole("status");
  await drop(page, { name: "a", bytes: GOOD_TAR }, { name: "b", bytes: GOOD_TAR });
  await status.getByText("Drop one file at a time.").waitFor();
  await page.route("**/worker.js", (route) => route.abort());
  await choose(page, "b.tar", GOOD_TAR);
  await status.getByText("did not load or broke").waitFor();
  expect(await focused(page)).toBe("choose");
  await page.unroute("**/worker.js");
  await Bun.write(host.file("gone.tar"), GOOD_TAR);
  await page.route("**/worker.js", async (route) => {
    await Bun.file(host.file("gone.tar")).delete();
    await route.continue();
  });
  await page.setInputFiles("#file", host.file("gone.tar"));
  await page.getByRole("heading", { name: "✗ The file could not be read" }).waitFor();
  await page.addInitScript("delete Uint8Array.fromHex");
  await page.reload();
  await status
    .getByText("This browser is too old for this page. In a terminal, use spl verify FILE.")
    .waitFor();
  expect(await page.getByRole("button").count()).toBe(0);
  await page.context().close();
});

test("neither the page nor its worker may send anything", async () => {
  const [page, worker] = await Promise.all([fetch(`${url}/bundle`), fetch(`${url}/bundle/worker.js`)]);
  expect(page.headers.get("content-security-policy")).toMatch(
    /^default-src 'none'; script-src 'sha256-[^']+'; style-src 'sha256-[^']+'; connect-src 'none'; .*; worker-src 'self'$/,
  );
  expect(worker.headers.get("content-security-policy")).toBe(
    "default-src 'none'; script-src 'wasm-unsafe-eval'; connect-src data:",
  );
  const { page: open } = await freshPage(browser);
  await open.goto(`${url}/bundle`);
  const sent = await open.evaluate(() => fetch("health").catch(String));
  expect(sent).toBe("TypeError: Failed to fetch");
  await open.context().close();
});

test("it works on plain http under another name than localhost", async () => {
  await using lan = await Box.serving("--host", "0.0.0.0");
  const port = new URL((await lan.json<{ url: string }>("status")).url).port;
  const elsewhere = await openBrowser(["--host-resolver-rules=MAP box.local 127.0.0.1"]);
  try {
    const { page, complaints } = await freshPage(elsewhere);
    await page.goto(`http://box.local:${port}/bundle`);
    expect(await page.evaluate("isSecureContext")).toBe(false);
    await choose(page, "b.tar.zst", await write(sourceOf(alice, chain(alice, "th_a", 3)), "zst"));
    await verified(page);
    expect(complaints).toEqual([]);
  } finally {
    await elsewhere.close();
  }
});

test.each([
  ["wide and light", {}],
  ["on a phone in the dark", { ...PHONE, colorScheme: "dark" }],
  ["wide and dark, with less motion", { colorScheme: "dark", reducedMotion: "reduce" }],
] as const)("everyone can use it %s", async (_, options) => {
  await withPage(async (page) => {
    const fits = () => page.evaluate("document.documentElement.scrollWidth <= innerWidth");
    expect(await complaintsOfAxe(page)).toEqual([]);
    const entries = [
      ...chain(alice, `th_${"x".repeat(128)}`, 12, "word".repeat(99)),
      ...chain(bob, "th_b", 1),
    ];
    await choose(page, `${"long".repeat(40)}.tar`, await write(sourceOf(alice, entries)));
    await verified(page);
    await page.locator("summary").first().click();
    expect(await complaintsOfAxe(page)).toEqual([]);
    expect(await fits()).toBe(true);
    for (const [, file] of BAD_BUNDLES.slice(-2)) {
      await choose(page, "bad.tar", await file());
      await refused(page);
      expect(await complaintsOfAxe(page)).toEqual([]);
      expect(await fits()).toBe(true);
    }
  }, options);
});
