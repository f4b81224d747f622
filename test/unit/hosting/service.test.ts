import { describe, expect, test } from "bun:test";
import { EVENTS_TYPE, MANIFEST_HEADER } from "../../../lib/api/media.ts";
import { toBase64Url, utf8 } from "../../../lib/base/bytes.ts";
import { SplError } from "../../../lib/base/errors.ts";
import { HostingHere } from "../../kit/hosting_app.ts";
import { until } from "../../kit/until.ts";

/** A hosting service at work, over a driver that fails when the test likes. */

/** What the service would do by itself some time later. */
async function later(here: HostingHere): Promise<void> {
  here.now += 60_000;
  await here.service.awake.sweep();
}

/** The status of the instance's answer, which is read to its end. */
async function asks(here: HostingHere, label: string): Promise<number> {
  const response = await here.request("/v1/status", { host: `${label}.hosting.example` });
  await response.text();
  return response.status;
}

describe("an instance that nobody needs sleeps", () => {
  test("also when nobody has ever called it", async () => {
    await using here = await HostingHere.open();
    const { view } = await here.owned("myteam");
    expect(here.driver.running).toEqual(new Set([view.id]));
    await later(here);
    expect(here.driver.running).toEqual(new Set());
    expect(await asks(here, "myteam")).toBe(200);
  });

  test("after its token was shown", async () => {
    await using here = await HostingHere.open();
    const { view } = await here.owned("myteam");
    await later(here);
    expect((await here.request(new URL(view.first_run_url!).pathname, { method: "POST" })).status).toBe(200);
    expect(here.driver.running.size).toBe(1);
    await later(here);
    expect(here.driver.running.size).toBe(0);
  });

  test("but not while its token is made", async () => {
    await using here = await HostingHere.open();
    const { view } = await here.owned("myteam");
    const seen: boolean[] = [];
    here.driver.before = async (step) => {
      if (step !== "mint") return;
      await later(here);
      seen.push(here.driver.running.has(view.id));
    };
    await here.request(new URL(view.first_run_url!).pathname, { method: "POST" });
    expect(seen).toEqual([true]);
  });

  test("after its end was refused", async () => {
    await using here = await HostingHere.open();
    const { view, cookie } = await here.owned("myteam");
    await later(here);
    const bundle_sha256 = "0".repeat(64);
    const refused = await here.post(`/v1/provision/${view.id}/leave`, { bundle_sha256 }, { cookie });
    expect(refused.ok).toBe(false);
    expect(await asks(here, "myteam")).toBe(200);
    await later(here);
    expect(here.driver.running.size).toBe(0);
  });

  test("after the service was started beside it", async () => {
    await using here = await HostingHere.open();
    await here.owned("myteam");
    await here.service.resume();
    await later(here);
    expect(here.driver.running.size).toBe(0);
  });
});

describe("what fails", () => {
  test.each(["volume", "machine", "boot", "mint"])(
    "in %s is told, leaves nothing, and may be tried again",
    async (at) => {
      await using here = await HostingHere.open();
      here.driver.before = (step) => {
        if (step === at) throw new SplError("hosting_unavailable", "no capacity", { hint: "later" });
      };
      const { view, cookie } = await here.owned("myteam");
      const phase = at === "mint" ? "bootstrap" : at;
      expect(view).toMatchObject({
        state: "failed",
        first_run_url: null,
        failure: { code: "hosting_unavailable", phase, message: "no capacity", hint: "later" },
      });
      expect([here.driver.volumes.size, here.driver.running.size]).toEqual([0, 0]);
      here.driver.before = () => undefined;
      expect((await here.owned("myteam", cookie)).view.state).toBe("ready");
    },
  );

  test("says nothing of this machine", async () => {
    for (const error of [
      new Error("ENOENT: /srv/secret/path"),
      new SplError("file_unreadable", "cannot write /srv/secret/path: permission denied", {
        hint: "chmod /srv/secret/path",
      }),
      new SplError("disk_full", "cannot write /srv/secret/path: no space left on the device", {
        hint: "free some space",
      }),
    ]) {
      await using here = await HostingHere.open();
      here.driver.before = (step) => {
        if (step === "volume") throw error;
      };
      const { view } = await here.owned("myteam");
      expect(view.state).toBe("failed");
      expect(JSON.stringify(view)).not.toContain("/srv");
      expect(view.failure!.code).toBe(
        error instanceof SplError && error.code === "disk_full" ? "disk_full" : "internal",
      );
      expect(here.logged.join("\n")).toContain("/srv/secret/path");
    }
  });

  test("at the deadline is a time-out of its phase", async () => {
    await using here = await HostingHere.open({
      deadlines: { volume: 20, machine: 20, boot: 20, bootstrap: 20 },
    });
    here.driver.before = (step) => (step === "boot" ? new Promise(() => undefined) : undefined);
    const { view } = await here.owned("myteam");
    expect(view).toMatchObject({ state: "failed", failure: { code: "boot_timeout", phase: "boot" } });
    expect(here.driver.volumes.size).toBe(0);
  });

  test("to be removed is removed later, and the label is not given away before", async () => {
    await using here = await HostingHere.open();
    here.driver.before = (step) => {
      if (step === "boot" || step === "destroy") throw new SplError("hosting_unavailable", "broken");
    };
    const { view, cookie } = await here.owned("myteam");
    expect(view.state).toBe("failing");
    expect((await here.post("/v1/provision", { label: "myteam" }, { cookie })).status).toBe(409);
    here.driver.before = () => undefined;
    await here.service.resume();
    await here.settled();
    expect((await here.owned("myteam", cookie)).view.state).toBe("ready");
  });

  test.each(["failing", "deleting"])(
    "to be removed (%s) is tried again by the service itself, less and less often",
    async (state) => {
      await using here = await HostingHere.open();
      const tried: number[] = [];
      const began = here.now;
      const fail = (step: string) => {
        if (step === "destroy") tried.push((here.now - began) / 1000);
        if (step === "destroy" || (step === "boot" && state === "failing"))
          throw new SplError("hosting_unavailable", "broken");
      };
      if (state === "failing") here.driver.before = fail;
      const { view, cookie } = await here.owned("myteam");
      here.driver.before = fail;
      if (state === "deleting") {
        const answer = await here.post(
          `/v1/provision/${view.id}`,
          { without_bundle: true },
          { cookie, method: "DELETE" },
        );
        expect(answer.status).toBe(503);
      }
      const stateOf = async () => (await here.service.hosting.registry.instance(view.id))!.state as string;
      const pass = async (seconds: number) => {
        for (const end = here.now + seconds * 1000; here.now < end; here.now += 10_000) {
          await here.service.unfinished.sweep();
          await here.settled();
        }
      };
      // Who looks has it tried as well.
      expect(tried.every((second) => second === 0)).toBe(true);
      tried.length = 0;
      await pass(4 * 60 * 60);
      expect([await stateOf(), tried]).toEqual([state, [30, 90, 210, 450, 930, 1890, 3810, 7410, 11010]]);
      here.driver.before = () => undefined;
      await pass(60 * 60);
      expect(await stateOf()).toBe(state === "failing" ? "failed" : "deleted");
      expect(here.driver.volumes.size).toBe(0);
    },
  );

  test("to be removed is not tried again while somebody is at it, and not once the service stops", async () => {
    const here = await HostingHere.open();
    let tries = 0;
    const { promise: over, resolve: end } = Promise.withResolvers<void>();
    here.driver.before = (step) => {
      if (step === "boot") throw new SplError("hosting_unavailable", "broken");
      if (step !== "destroy") return;
      tries++;
      return over;
    };
    const begun = await here.post("/v1/provision", { label: "myteam" });
    const { id } = (await begun.json()) as { id: string };
    await until(
      async () => tries,
      (n) => n === 1,
    );
    for (let n = 0; n < 100; n++) {
      here.now += 10_000;
      await here.service.unfinished.sweep();
    }
    expect(tries).toBe(1);
    end();
    await here.settled();
    expect((await here.service.hosting.registry.instance(id))!.state).toBe("failed");
    await here[Symbol.asyncDispose]();
    // The database is closed.
    await here.service.unfinished.sweep();
  });

  test("in the removal of one instance keeps the service from nothing else", async () => {
    await using here = await HostingHere.open();
    const [first, second] = [await here.owned("first-one"), await here.owned("second-one")];
    here.driver.before = (step) => {
      if (step === "destroy") throw new SplError("hosting_unavailable", "broken");
    };
    const farewell = (id: string, cookie: string) =>
      here.request(`/v1/provision/${id}`, {
        method: "DELETE",
        cookie,
        headers: { origin: here.base, "content-type": "application/json" },
        body: '{"without_bundle":true}',
      });
    expect((await farewell(first.view.id, first.cookie)).status).toBe(503);
    here.driver.before = (step, { id }) => {
      if (step === "destroy" && id === first.view.id) throw new SplError("hosting_unavailable", "broken");
    };
    await here.service.resume();
    await here.settled();
    expect(await asks(here, "second-one")).toBe(200);
    expect((await farewell(second.view.id, second.cookie)).status).toBe(200);
    here.driver.before = () => undefined;
    await here.service.resume();
    await here.settled();
    expect([...here.driver.volumes]).toEqual([]);
    expect(await asks(here, "first-one")).toBe(410);
  });

  test("to be removed in time keeps a service that starts from nothing else", async () => {
    await using here = await HostingHere.open();
    const [first] = [await here.owned("first-one"), await here.owned("second-one")];
    const { registry } = here.service.hosting;
    await registry.move(first.view.id, "ready", "deleting");
    const { promise: over, resolve: end } = Promise.withResolvers<void>();
    here.driver.before = (step) => (step === "destroy" ? over : undefined);
    await here.service.resume();
    expect(await asks(here, "second-one")).toBe(200);
    expect((await registry.instance(first.view.id))!.state).toBe("deleting");
    end();
    await here.settled();
    expect((await registry.instance(first.view.id))!.state).toBe("deleted");
  });
});

/** What an instance answers to whoever compares its bundle. */
const BUNDLE = { bundle_sha256: "a".repeat(64), source_did: "did:x" };

/** A stream of events that goes on until then. */
function aliveFor(time: Promise<void>): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async start(controller) {
      controller.enqueue(utf8(": alive\n\n"));
      await time;
      controller.close();
    },
  });
}

function answerAsInstance(here: HostingHere): void {
  const headers = { [MANIFEST_HEADER]: toBase64Url(utf8(JSON.stringify(BUNDLE))) };
  here.driver.answer = () => Response.json({ id: "tok_1" }, { headers });
}

/** Lets an end wait 20 ms instead of 30 s for what is under way. */
function hurry({ service }: HostingHere): void {
  const { ports } = service.hosting;
  const deadline = ports.deadline;
  ports.deadline = (ms) => deadline(ms === 30_000 ? 20 : ms);
}

describe("the end of an instance", () => {
  test("takes no download as a proof: nobody can know here what arrived there", async () => {
    await using here = await HostingHere.open();
    const { view, cookie } = await here.owned("myteam");
    answerAsInstance(here);
    await (await here.request(`/v1/provision/${view.id}/bundle`, { cookie })).arrayBuffer();
    await here.settled();
    for (const body of [{}, { without_bundle: false }]) {
      for (const [path, method] of [
        [`/v1/provision/${view.id}`, "DELETE"],
        [`/v1/provision/${view.id}/leave`, "POST"],
      ] as const) {
        const refused = await here.post(path, body, { method, cookie });
        const { detail, hint } = (await refused.json()) as { detail: string; hint: string };
        expect([refused.status, detail]).toEqual([409, "it was not said which bundle its owner holds"]);
        expect(hint).toContain("without_bundle: true");
      }
    }
    expect([...here.driver.volumes]).toEqual([view.id]);
    expect(await asks(here, "myteam")).toBe(200);
  });

  test("cuts off what is under way for too long before it compares, and removes only what was compared", async () => {
    await using here = await HostingHere.open();
    const { view, cookie } = await here.owned("myteam");
    answerAsInstance(here);
    hurry(here);
    const { promise: over, resolve: end } = Promise.withResolvers<void>();
    const upload = here.service.awake.hold(view.id, () => over);
    const steps: string[] = [];
    here.driver.before = (step) => void steps.push(step);
    const { bundle_sha256 } = BUNDLE;
    const left = await here.post(`/v1/provision/${view.id}/leave`, { bundle_sha256 }, { cookie });
    end();
    await upload;
    expect([left.status, ...steps]).toEqual([200, "sleep", "wake", "mint", "destroy"]);
  });

  test("waits for nobody who only listens, and for nobody at all where nothing is compared", async () => {
    for (const [held, body] of [
      ["events", { bundle_sha256: BUNDLE.bundle_sha256 }],
      ["events", { without_bundle: true }],
      ["upload", { without_bundle: true }],
    ] as const) {
      await using here = await HostingHere.open();
      const { view, cookie } = await here.owned("myteam");
      let waited = false;
      const { ports } = here.service.hosting;
      const deadline = ports.deadline;
      ports.deadline = (ms) => {
        waited ||= ms === 30_000;
        return deadline(ms === 30_000 ? 20 : ms);
      };
      const { promise: over, resolve: end } = Promise.withResolvers<void>();
      const upload = held === "upload" ? here.service.awake.hold(view.id, () => over) : null;
      here.driver.answer = () => new Response(aliveFor(over), { headers: { "content-type": EVENTS_TYPE } });
      const listening =
        held === "events" ? await here.request("/v1/events", { host: "myteam.hosting.example" }) : null;
      expect(here.service.awake.open(view.id)).toBe(1);
      answerAsInstance(here);
      const steps: string[] = [];
      here.driver.before = (step) => void steps.push(step);
      const left = await here.post(`/v1/provision/${view.id}/leave`, body, { cookie });
      end();
      await upload;
      await listening?.body?.cancel();
      const compared = "bundle_sha256" in body;
      expect([held, left.status, waited, ...steps]).toEqual([
        held,
        200,
        compared,
        ...(compared ? ["wake", "mint"] : []),
        "destroy",
      ]);
    }
  });

  test("does not wait for a download that nobody reads on, nor ask by its token", async () => {
    await using here = await HostingHere.open();
    const { view, cookie } = await here.owned("myteam");
    answerAsInstance(here);
    hurry(here);
    const stalled = await here.request(`/v1/provision/${view.id}/bundle`, { cookie });
    const steps: string[] = [];
    here.driver.before = (step) => void steps.push(step);
    const { bundle_sha256 } = BUNDLE;
    const left = await here.post(`/v1/provision/${view.id}/leave`, { bundle_sha256 }, { cookie });
    expect([left.status, ...steps]).toEqual([200, "sleep", "wake", "mint", "destroy"]);
    await stalled.body!.cancel();
  });

  test("removes nothing when the lease was lost during the comparison", async () => {
    await using here = await HostingHere.open();
    const { view, cookie } = await here.owned("myteam");
    answerAsInstance(here);
    here.driver.before = async (step) => {
      // Another process has found it out of time, let requests in again, and begun an end of its own.
      if (step === "mint") await here.db.run("UPDATE leases SET holder = 'another'");
    };
    const { bundle_sha256 } = BUNDLE;
    const left = await here.post(`/v1/provision/${view.id}/leave`, { bundle_sha256 }, { cookie });
    expect(left.status).toBe(409);
    expect([...here.driver.volumes]).toEqual([view.id]);
    expect((await here.service.hosting.registry.instance(view.id))!.state).toBe("ending");
  });
});

test("downloads at once share one token, which ends with the last of them", async () => {
  await using here = await HostingHere.open();
  const { view, cookie } = await here.owned("myteam");
  answerAsInstance(here);
  const steps: string[] = [];
  here.driver.before = (step) => void steps.push(step);
  const path = `/v1/provision/${view.id}/bundle`;
  const downloads = await Promise.all(Array.from({ length: 20 }, () => here.request(path, { cookie })));
  expect(new Set(downloads.map(({ status }) => status))).toEqual(new Set([200]));
  const calls = () => here.driver.seen.map(({ method, path }) => `${method} ${path}`);
  const trade = "POST /v1/token/trade";
  expect([
    steps.filter((step) => step === "mint").length,
    calls().filter((call) => call === trade).length,
  ]).toEqual([1, 1]);
  for (const download of downloads.slice(1)) await download.arrayBuffer();
  expect(calls().some((call) => call.startsWith("DELETE"))).toBe(false);
  await downloads[0]!.arrayBuffer();
  await here.settled();
  expect(calls().filter((call) => call.startsWith("DELETE"))).toEqual(["DELETE /v1/tokens/tok_1"]);
  await (await here.request(path, { cookie })).arrayBuffer();
  expect(steps.filter((step) => step === "mint")).toHaveLength(2);
});

test("when the token cannot be made all who wait for it are told, and the next download makes one", async () => {
  await using here = await HostingHere.open();
  const { view, cookie } = await here.owned("myteam");
  answerAsInstance(here);
  here.driver.before = (step) => {
    if (step === "mint") throw new SplError("hosting_unavailable", "broken");
  };
  const path = `/v1/provision/${view.id}/bundle`;
  const refused = await Promise.all(Array.from({ length: 3 }, () => here.request(path, { cookie })));
  expect(refused.map(({ status }) => status)).toEqual([503, 503, 503]);
  here.driver.before = () => undefined;
  const download = await here.request(path, { cookie });
  expect(download.status).toBe(200);
  await download.arrayBuffer();
});

describe("what the database failed under goes on by itself", () => {
  async function pass(here: HostingHere): Promise<void> {
    for (let n = 0; n < 10; n++) {
      here.now += 10_000;
      await here.service.unfinished.sweep();
      await here.settled();
    }
  }

  test("an instance on its way", async () => {
    await using here = await HostingHere.open();
    const { registry } = here.service.hosting;
    const endPhase = registry.endPhase.bind(registry);
    registry.endPhase = () => Promise.reject(new Error("disk I/O error"));
    const { view } = await here.owned("myteam");
    registry.endPhase = endPhase;
    const state = async () => (await registry.instance(view.id))!.state;
    expect(await state()).toBe("provisioning");
    await pass(here);
    expect(await state()).toBe("ready");
  });

  test("an end that was refused, and the instance sleeps again", async () => {
    await using here = await HostingHere.open();
    const { view, cookie } = await here.owned("myteam");
    answerAsInstance(here);
    const { registry } = here.service.hosting;
    const move = registry.move.bind(registry);
    registry.move = (id, from, to) =>
      to === "ready" ? Promise.reject(new Error("disk I/O error")) : move(id, from, to);
    const bundle_sha256 = "0".repeat(64);
    const refused = await here.post(`/v1/provision/${view.id}/leave`, { bundle_sha256 }, { cookie });
    registry.move = move;
    expect([refused.status, (await registry.instance(view.id))!.state]).toEqual([500, "ending"]);
    await pass(here);
    expect(await asks(here, "myteam")).toBe(200);
    await later(here);
    expect(here.driver.running.size).toBe(0);
  });
});

test("a write that came before the end of its instance, and is let in after it, is refused", async () => {
  await using here = await HostingHere.open();
  const { view } = await here.owned("myteam");
  expect(await asks(here, "myteam")).toBe(200);
  const { registry } = here.service.hosting;
  const look = registry.byLabel.bind(registry);
  registry.byLabel = async (label) => {
    const found = await look(label);
    await registry.move(view.id, "ready", "ending");
    return found;
  };
  const write = await here.request("/v1/records", {
    method: "POST",
    body: "{}",
    host: "myteam.hosting.example",
  });
  expect(write.status).toBe(503);
  expect(here.driver.seen).toHaveLength(1);
});
