import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { Problem } from "../../lib/api/problem.ts";
import type { Token } from "../../lib/api/wire.ts";
import type { Manifest } from "../../lib/bundle/types.ts";
import { invite } from "../../lib/hosting/signup.ts";
import { Box } from "../kit/box.ts";
import { boxAt } from "../kit/hosted.ts";
import type { Provision, Visitor } from "../kit/hosting.ts";
import type { Host, HostWishes } from "../kit/hosts.ts";
import { rawRequest } from "../kit/raw_http.ts";
import { statementOf } from "../kit/statements.ts";
import { until } from "../kit/until.ts";

/**
 * What a hosting service does for whoever reaches it by HTTP. The same on Bun and on Workers: each of them runs all of it.
 */

interface Status {
  instance_did: string;
  records: number;
  url: string;
}

export function hostingScenarios(open: (wishes?: HostWishes) => Promise<Host>): void {
  setDefaultTimeout(60_000);
  let host: Host;
  beforeAll(async () => {
    host = await open();
  });
  afterAll(() => host[Symbol.asyncDispose]());

  test("from a wish to an instance that a bundle is imported into, through the service", async () => {
    const owner = host.visitor();
    const asked = await owner.call("/v1/provision", { json: { label: "myteam" } });
    const { id, ...provision } = (await asked.json()) as Provision;
    expect(asked.status).toBe(202);
    expect(asked.headers.get("location")).toBe(`/v1/provision/${id}`);
    expect(asked.headers.get("set-cookie")).toContain("HttpOnly; SameSite=Strict");
    expect(provision).toMatchObject({ label: "myteam", state: "provisioning", failure: null });
    expect(provision.url).toBe(host.url.replace("localhost", "myteam.localhost"));

    const ready = await until(
      () => owner.json<Provision>(`/v1/provision/${id}`),
      ({ state }) => state !== "provisioning",
    );
    expect(ready).toMatchObject({ state: "ready", failure: null });
    expect(ready.phases.map(({ phase, state }) => `${phase} ${state}`)).toEqual(
      ["reserve", "volume", "machine", "boot", "bootstrap", "ready"].map((phase) => `${phase} done`),
    );

    // To look at the link, by whatever means, uses nothing up.
    const link = new URL(ready.first_run_url).pathname;
    const stranger = host.visitor();
    for (const accept of ["text/html", "application/json"]) {
      const page = await stranger.call(link, { headers: { accept } });
      expect([page.status, page.headers.get("cache-control")]).toEqual([200, "no-store"]);
      expect(page.headers.get("referrer-policy")).toBe("no-referrer");
      expect(await page.text()).not.toContain("spl_boot_");
    }
    const presses = await Promise.all(
      Array.from({ length: 50 }, () => stranger.call(link, { method: "POST" })),
    );
    expect(presses.map(({ status }) => status).sort()).toEqual([200, ...Array(49).fill(409)]);
    const { url, token } = (await presses.find(({ ok }) => ok)!.json()) as { url: string; token: string };
    expect(url).toBe(provision.url);
    expect(await (await stranger.call(link, { headers: { accept: "text/html" } })).text()).toMatch(
      /<time datetime="\d{4}-\d\d-\d\dT/,
    );

    await using source = await Box.serving();
    await source.emit(
      Array.from({ length: 40 }, (_, n) => ({ thread: `th_${n % 7}`, act: "DO", body: { n } })),
    );
    await source.ok("export", "--out", source.file("b.tar.zst"));
    const { instance_did } = await source.json<Status>("status");
    await using box = boxAt(url);
    await box.ok("token", "save", token);
    expect((await box.json<Status>("status")).instance_did).not.toBe(instance_did);
    await box.ok("import", source.file("b.tar.zst"));
    expect(await box.json<Status>("status")).toMatchObject({ instance_did, url });

    // Another link is for the owner's own pages only.
    const again = `/v1/provision/${id}/regenerate`;
    expect((await owner.call(again, { method: "POST", headers: { origin: url } })).status).toBe(403);
    expect((await stranger.call(again, { method: "POST" })).status).toBe(401);
    const renewed = await owner.json<Provision>(again, { method: "POST" });
    expect(renewed.first_run_url).not.toBe(ready.first_run_url);
    await using phone = boxAt(url);
    await phone.ok("token", "save", (await owner.reveal(renewed)).token);
    expect((await phone.json<Status>("status")).instance_did).toBe(instance_did);
    expect(host.fly.violations).toEqual([]);
  });

  test("who watches is told each phase, and many who look make one machine", async () => {
    const owner = host.visitor();
    const { id } = await owner.begin("watched");
    const before = host.fly.calls.length;
    const looks = Array.from({ length: 10 }, () => owner.settled(id));
    for (const told of await Promise.all(looks)) {
      expect(told.at(-1)).toMatchObject({ id, state: "ready" });
      // Nothing is told twice, and what was done stays done.
      const done = told.map(({ phases }) => phases.filter(({ state }) => state === "done").length);
      expect(done).toEqual([...done].sort());
    }
    const made = host.fly.calls.slice(before);
    for (const operation of ["Volumes_create", "Machines_create", "Machines_update"])
      expect([operation, made.filter((call) => call === operation).length]).toEqual([operation, 1]);
  });

  test("who asks again because no answer came gets the instance that was made, and the session for it", async () => {
    const headers = { "idempotency-key": `"${"7c".repeat(16)}"` };
    const ask = () => {
      const visitor = host.visitor();
      return { visitor, asked: visitor.call("/v1/provision", { json: { label: "lost-answer" }, headers }) };
    };
    // Several at once, as where a proxy sends it again; nobody has the cookie of an answer before.
    const both = [ask(), ask(), ask()];
    const ids: string[] = [];
    for (const { visitor, asked } of [...both, ask()]) {
      expect((await asked).status).toBe(202);
      const { id } = (await (await asked).json()) as Provision;
      ids.push(id);
      expect((await visitor.call(`/v1/provision/${id}`)).status).toBe(200);
    }
    expect(new Set(ids).size).toBe(1);
    expect((await both[0]!.visitor.settled(ids[0]!)).at(-1)).toMatchObject({ state: "ready" });
    expect(await both[1]!.visitor.json<Provision[]>("/v1/provision")).toHaveLength(1);
    expect(host.fly.violations).toEqual([]);
  });

  test("a request wakes an instance that sleeps", async () => {
    const { id, url } = await host.visitor().instance("sleeper");
    await host.sleep(id);
    const app = [...host.fly.apps.values()].find(({ name }) => name.endsWith(id))!;
    expect(app.machines[0]!.state).toBe("stopped");
    const answers = await Promise.all(Array.from({ length: 5 }, () => fetch(`${url}/health`)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect(app.machines[0]!.state).toBe("started");
  });

  test("of two who want one label one gets it; odd and reserved ones nobody", async () => {
    const both = await Promise.all(
      [host.visitor(), host.visitor()].map((visitor) =>
        visitor.call("/v1/provision", { json: { label: "wanted" } }),
      ),
    );
    expect(both.map(({ status }) => status).sort()).toEqual([202, 409]);
    expect(await problemOf(both.find(({ status }) => status === 409)!)).toMatchObject({
      code: "label_taken",
    });
    const visitor = host.visitor();
    for (const [label, reason] of [
      ["wanted", "it is taken"],
      ["www", "it is reserved"],
      ["ab", "it is too short"],
      ["a".repeat(33), "it is too long"],
      ["-team", "it begins or ends with a hyphen"],
      ["tеam", "U+0435 is no letter of a-z, however it looks"],
      ["xn--team", "it has two hyphens where internationalised names have them"],
    ] as const) {
      const path = `/v1/labels/${encodeURIComponent(label)}`;
      expect(await visitor.json(path)).toEqual({ label, available: false, reason });
      if (label === "wanted") continue;
      const refused = await visitor.call("/v1/provision", { json: { label } });
      expect([label, refused.status, (await problemOf(refused)).code]).toEqual([
        label,
        400,
        "invalid_request",
      ]);
    }
    expect(await visitor.json("/v1/labels/unwanted")).toMatchObject({ available: true, reason: null });
  });

  test("an owner who holds the bundle leaves, and the address says where the identity went", async () => {
    const owner = host.visitor();
    const provision = await owner.instance("leaver");
    const { id, url } = provision;
    await using box = boxAt(url);
    await box.ok("token", "save", (await owner.reveal(provision)).token);
    await box.ok("intend", "see the world");
    const leave = (json: object) => owner.call(`/v1/provision/${id}/leave`, { json });
    const refusals = [await leave({}), await leave({ bundle_sha256: "0".repeat(64) })];
    expect(refusals.map(({ status }) => status)).toEqual([409, 409]);
    expect((await problemOf(refusals[1]!)).detail).toContain("not what the instance holds now");
    expect((await host.visitor().call(`/v1/provision/${id}/bundle`)).status).toBe(401);

    const bundle = await owner.call(`/v1/provision/${id}/bundle`);
    expect(bundle.headers.get("content-disposition")).toBe('attachment; filename="leaver.tar.zst"');
    await Bun.write(box.file("final.tar.zst"), await bundle.bytes());
    await box.ok("verify", box.file("final.tar.zst"));
    // Nothing that could act as the instance is left of it.
    const alive = async () =>
      (await box.json<Token[]>("token", "list")).filter((token) => token.state === "active").length;
    expect(await until(alive, (n) => n === 1)).toBe(1);
    // What came after it was taken is not in it.
    await box.ok("know", "one more thing");
    const proof = async () => {
      const { bundle_sha256 } = await box.json<Manifest>("verify", box.file("final.tar.zst"));
      return { bundle_sha256 };
    };
    expect((await leave(await proof())).status).toBe(409);
    await Bun.write(
      box.file("final.tar.zst"),
      await (await owner.call(`/v1/provision/${id}/bundle`)).bytes(),
    );
    // That it was downloaded says nothing of what arrived.
    expect((await leave({})).status).toBe(409);
    const { instance_did } = await box.json<Status>("status");

    expect(await (await leave(await proof())).json()).toMatchObject({ id, state: "left" });
    expect([...host.fly.apps.keys()].filter((name) => name.endsWith(id))).toEqual([]);
    const gone = await fetch(`${url}/v1/status`);
    expect([gone.status, gone.headers.get("syncropel-statement")]).toEqual([410, null]);
    expect((await problemOf(gone)).detail).toContain(instance_did);
    expect((await owner.call("/v1/provision", { json: { label: "leaver" } })).status).toBe(409);
  });

  test("the directory keeps the highest statement of an identity, and 410 carries it", async () => {
    const visitor = host.visitor();
    const [first, second] = [1, 2].map((n) => statementOf({ epoch: Date.now() - 10_000 + n }));
    const path = `/directory/${encodeURIComponent(first!.did)}`;
    expect((await visitor.call(path)).status).toBe(404);
    const put = (json: object, at = path) => visitor.call(at, { method: "PUT", json });
    expect((await put(second!)).status).toBe(200);
    expect([
      (await put(first!)).status,
      (await put({ ...second!, url: "https://evil.example" })).status,
    ]).toEqual([409, 422]);
    expect((await put(second!, "/directory/did%3Async%3Ainstance%3Aother")).status).toBe(422);
    expect(await visitor.json(path)).toEqual({ ...second! });

    // An instance that is told to have been that identity.
    const owner = host.visitor();
    const { id, url } = await owner.instance("mover");
    expect(await owner.json(`/v1/provision/${id}/leave`, { json: { without_bundle: true } })).toMatchObject({
      state: "left",
    });
    const { did } = (await host.registry.instance(id))!;
    await host.registry.db.run("UPDATE instances SET did = ? WHERE id = ?", first!.did, id);
    const gone = await fetch(`${url}/health`);
    expect([did?.startsWith("did:sync:instance:"), gone.status]).toEqual([true, 410]);
    const told = gone.headers.get("syncropel-statement")!;
    expect(JSON.parse(Buffer.from(told, "base64url").toString())).toEqual({ ...second! });
    expect(await gone.json()).toMatchObject({ code: "moved", url: second!.url, statement: { ...second! } });
  });

  test("an instance that is deleted is gone, its label for ever", async () => {
    const owner = host.visitor();
    const { id, url } = await owner.instance("deleted-one");
    const drop = (who: Visitor) =>
      who.call(`/v1/provision/${id}`, { method: "DELETE", json: { without_bundle: true } });
    expect((await drop(host.visitor())).status).toBe(401);
    expect(await (await drop(owner)).json()).toMatchObject({ state: "deleted" });
    expect((await fetch(`${url}/health`)).status).toBe(410);
    expect((await drop(owner)).status).toBe(409);
    expect(await owner.json("/v1/labels/deleted-one")).toMatchObject({ available: false });
    expect(await owner.json<Provision[]>("/v1/provision")).toMatchObject([{ id, state: "deleted" }]);
  });

  test("the recovery code signs its owner in elsewhere", async () => {
    const owner = host.visitor();
    const provision = await owner.instance("recovered");
    const { recovery_code } = await owner.reveal(provision);
    const other = host.visitor();
    expect((await other.call("/v1/recover", { json: { code: "aaaaa-bbbbb" } })).status).toBe(401);
    expect((await other.call("/v1/recover", { json: { code: recovery_code!.toUpperCase() } })).status).toBe(
      200,
    );
    expect(await other.json<Provision[]>("/v1/provision")).toMatchObject([{ id: provision.id }]);
  });

  test("whoever asks too often has to wait", async () => {
    const visitor = host.visitor();
    const tries: number[] = [];
    for (let n = 0; n < 11; n++)
      tries.push((await visitor.call("/v1/recover", { json: { code: `${n}` } })).status);
    expect(tries).toEqual([...Array(10).fill(401), 429]);
    const refused = await visitor.call("/v1/recover", { json: { code: "again" } });
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    // Another address does not.
    expect((await host.visitor().call("/v1/recover", { json: { code: "x" } })).status).toBe(401);
  });

  test("it answers to its own names only, and its operator's routes are nowhere", async () => {
    const { port } = new URL(host.url);
    const asked = async (name: string) => {
      const { text } = await rawRequest(
        Number(port),
        `GET /v1/plans HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`,
        (answer) => answer.includes("\r\n\r\n"),
      );
      return Number(/^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1]);
    };
    const seen = await Promise.all(
      [`localhost:${port}`, "evil.example", "localhost.evil.example"].map(asked),
    );
    expect(seen).toEqual([200, 403, 403]);
    expect(await asked(`nobody.localhost:${port}`)).toBe(404);
    expect(await asked(`a.b.localhost:${port}`)).toBe(404);
    expect((await host.visitor().call("/v1/host/instances")).status).toBe(404);
  });

  test("every page is there", async () => {
    for (const path of ["/start", "/instances", "/recover"]) {
      const page = await host.visitor().call(path);
      expect([path, page.status]).toEqual([path, 200]);
      expect(page.headers.get("content-security-policy")).toContain("default-src 'none'");
      expect(await page.text()).toContain("<script");
    }
    expect((await host.visitor().call("/")).headers.get("location")).toBe("/start");
  });

  test("below the service's own name an instance is its API, without cookies and pages", async () => {
    await using shared = await open({ addressing: "path" });
    const owner = shared.visitor();
    const provision = await owner.instance("shared-one");
    expect(provision.url).toBe(`${shared.url}/i/shared-one`);
    const { token, url } = await owner.reveal(provision);
    await using box = boxAt(url);
    await box.ok("token", "save", token);
    expect((await box.json<Status>("status")).url).toBe(url);
    const before = shared.fly.passed.length;
    const asked = await owner.call("/i/shared-one/health", {
      headers: { "x-forwarded-host": "evil.example" },
    });
    expect([asked.status, asked.headers.get("content-security-policy")]).toEqual([
      200,
      "default-src 'none'; sandbox; frame-ancestors 'none'",
    ]);
    const passed = shared.fly.passed.slice(before).find((headers) => headers.has("x-forwarded-for"))!;
    expect(owner.cookie).not.toBe("");
    expect([passed.get("cookie"), passed.get("x-forwarded-host"), passed.get("x-forwarded-for")]).toEqual([
      null,
      new URL(shared.url).host,
      owner.headers["cf-connecting-ip"]!,
    ]);
    for (const path of ["/i/shared-one", "/i/shared-one/", "/i/shared-one/pair", "/i/shared-one//health"])
      expect([path, (await owner.call(path)).status]).toEqual([path, 404]);
  });

  test("where sign-up is closed nobody gets one, where it needs an invitation one each", async () => {
    await using closed = await open({ signup: "closed" });
    const refused = await closed.visitor().call("/v1/provision", { json: { label: "outsider" } });
    expect([refused.status, (await problemOf(refused)).code]).toEqual([403, "forbidden"]);

    await using inviting = await open({ signup: "invite" });
    const { registry } = inviting;
    const ports = { clock: Date.now, random: (n: number) => crypto.getRandomValues(new Uint8Array(n)) };
    const { invitation } = await invite({ registry, ports } as unknown as Parameters<typeof invite>[0]);
    const asks = [{}, { invitation: "made-up" }, { invitation }, { invitation }].map(async (more, n) => {
      const { status } = await inviting
        .visitor()
        .call("/v1/provision", { json: { label: `guest-${n}`, ...more } });
      return status;
    });
    expect((await Promise.all(asks)).sort()).toEqual([202, 403, 403, 403]);
  });

  test("there are no more instances than the service and their owners may have", async () => {
    await using small = await open({ most: 2, mostPerOwner: 1 });
    const one = small.visitor();
    await one.instance("first-one");
    const second = await one.call("/v1/provision", { json: { label: "second-one" } });
    expect([second.status, (await problemOf(second)).code]).toEqual([409, "limit_reached"]);
    await small.visitor().instance("other-one");
    const full = await small.visitor().call("/v1/provision", { json: { label: "third-one" } });
    expect((await problemOf(full)).detail).toContain("no room for another instance");
    expect((await small.visitor().json("/v1/labels/third-one")).available).toBe(true);
  });

  test("a machine that never gets well is told of, leaves nothing behind, and may be tried again", async () => {
    await using slow = await open({ bootSeconds: 4 });
    slow.fly.healthy = false;
    const owner = slow.visitor();
    const { id } = await owner.begin("unlucky");
    const last = (await owner.settled(id)).at(-1)!;
    expect(last).toMatchObject({
      state: "failed",
      first_run_url: null,
      failure: { phase: "boot", code: "boot_timeout" },
    });
    expect(last.failure!.hint).toContain("try again");
    expect([...slow.fly.apps.keys()]).toEqual([]);
    slow.fly.healthy = true;
    expect(await owner.json("/v1/labels/unlucky")).toMatchObject({ available: true });
    const again = await owner.instance("unlucky");
    expect((await fetch(`${again.url}/health`)).status).toBe(200);
  });
}

async function problemOf(response: Response): Promise<Problem> {
  return (await response.json()) as Problem;
}
