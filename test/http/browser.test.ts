import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Browser } from "playwright-core";
import { emission } from "../kit/app.ts";
import { freshPage, openBrowser } from "../kit/browser.ts";
import { Served } from "../kit/served.ts";

/** What a real browser lets pages of other sites do with an instance on its own machine. */

/** A site with nothing on it. */
function site() {
  const answer = () =>
    new Response("<!doctype html><title>site</title>", { headers: { "content-type": "text/html" } });
  return Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: answer });
}

let browser: Browser;
const trusted = site();
const stranger = site();
beforeAll(async () => {
  // A name of the stranger's own that has just been pointed at this machine.
  browser = await openBrowser(["--host-resolver-rules=MAP rebound.example 127.0.0.1"]);
});
afterAll(async () => {
  await browser.close();
  await Promise.all([trusted.stop(true), stranger.stop(true)]);
});

const config = `allowed_origins = ["http://localhost:${trusted.port}"]\n`;

interface Asked {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
  mode?: "no-cors";
  credentials?: "include";
}

/** What scripts on a page of `origin` learn from one request. */
async function asked(origin: string, url: string, init: Asked) {
  const { page } = await freshPage(browser);
  await page.goto(origin);
  const told = await page.evaluate(
    async ([url, init]) => {
      try {
        const answer = await fetch(url, init);
        const headers = Object.fromEntries(answer.headers);
        return { status: answer.status, type: answer.type, text: await answer.text(), headers };
      } catch (error) {
        return { failed: String(error) };
      }
    },
    [url, init] as const,
  );
  await page.context().close();
  return told;
}

test("a page of an allowed origin works with a token of its own, and reads refusals", async () => {
  await using served = await Served.start({}, config);
  const minted = await served.unix("/v1/tokens", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ account: "console", scopes: ["records:read", "records:write"] }),
  });
  const { token } = (await minted.json()) as { token: string };
  const [origin, url] = [`http://localhost:${trusted.port}`, `http://127.0.0.1:${served.running.port}`];
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };

  const emitted = await asked(origin, `${url}/v1/records`, {
    method: "POST",
    headers,
    body: JSON.stringify(emission("th_a", "from a page")),
  });
  expect(emitted).toMatchObject({
    status: 201,
    headers: { location: expect.stringContaining("/v1/records/") },
  });
  const status = await asked(origin, `${url}/v1/status`, { headers });
  expect(status).toMatchObject({ status: 200, text: expect.stringContaining('"records":1') });
  const unknown = await asked(origin, `${url}/v1/status`, { headers: { authorization: "Bearer nobody" } });
  expect(unknown).toMatchObject({
    status: 401,
    text: expect.stringContaining('"code":"unauthorized"'),
    headers: { "www-authenticate": 'Bearer realm="spl"' },
  });
  // A cookie or a password of the browser would be let in by no answer of ours.
  const withCookies = await asked(origin, `${url}/health`, { credentials: "include" });
  expect(withCookies).toEqual({ failed: "TypeError: Failed to fetch" });
});

test("a page of a stranger reads and writes nothing, even where no token is asked for", async () => {
  await using served = await Served.start({ insecureLocalhost: true }, config);
  const [origin, url] = [`http://localhost:${stranger.port}`, `http://127.0.0.1:${served.running.port}`];
  const body = JSON.stringify(emission("th_a", "forged"));
  const json = { "content-type": "application/json" };
  for (const init of [
    { method: "GET" },
    { method: "POST", headers: json, body },
    { method: "POST", body },
    { method: "DELETE" },
  ]) {
    expect(await asked(origin, `${url}/v1/records`, init)).toEqual({ failed: "TypeError: Failed to fetch" });
  }
  // What a form could send reaches the instance without a preflight, and is refused there.
  const sent = await asked(origin, `${url}/v1/records`, { method: "POST", mode: "no-cors", body });
  expect(sent).toMatchObject({ type: "opaque", text: "" });
  expect(await (await served.unix("/v1/status")).json()).toMatchObject({ records: 0 });
});

test("a name that was pointed at this machine leads to a refusal", async () => {
  for (const host of ["127.0.0.1", "0.0.0.0"]) {
    await using served = await Served.start({ host });
    const { page } = await freshPage(browser);
    const answer = await page.goto(`http://rebound.example:${served.running.port}/health`);
    expect(answer!.status()).toBe(403);
    expect(await page.textContent("body")).toContain("host_refused");
    await page.context().close();
  }
});
