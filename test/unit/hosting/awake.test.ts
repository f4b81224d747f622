import { expect, test } from "bun:test";
import fc from "fast-check";
import { Awake, type Machines } from "../../../lib/hosting/awake.ts";
import type { Address } from "../../../lib/hosting/types.ts";

const ADDRESS: Address = { origin: "http://127.0.0.1:1" };
const IDLE_MS = 1000;

/** A machine that takes as long as the test likes, and complains when it is used in a way that no machine can bear. */
class OneMachine implements Machines {
  state: "asleep" | "waking" | "awake" | "stopping" = "asleep";
  wakes = 0;
  sleeps = 0;
  answering = 0;
  readonly faults: string[] = [];

  constructor(
    readonly pause: (what: string) => Promise<void> = async () => {},
    readonly fails: { wake?: boolean; sleep?: boolean } = {},
  ) {}

  async wake(): Promise<Address> {
    if (this.state === "waking" || this.state === "stopping") this.faults.push(`woken while ${this.state}`);
    this.wakes++;
    this.state = "waking";
    await this.pause("wake");
    if (this.fails.wake) {
      this.state = "asleep";
      throw new Error("no power");
    }
    this.state = "awake";
    return ADDRESS;
  }

  async sleep(): Promise<void> {
    if (this.state === "waking" || this.state === "stopping") this.faults.push(`stopped while ${this.state}`);
    if (this.answering > 0) this.faults.push("stopped while it answers");
    this.sleeps++;
    this.state = "stopping";
    await this.pause("sleep");
    if (this.fails.sleep) {
      this.state = "awake";
      throw new Error("stuck");
    }
    this.state = "asleep";
  }

  /** An answer whose body has one chunk more after `pause`. */
  async answer(): Promise<Response> {
    this.#check();
    this.answering++;
    await this.pause("head");
    this.#check();
    const body = async function* (this: OneMachine) {
      yield new TextEncoder().encode("a");
      await this.pause("body");
      this.#check();
      this.answering--;
      yield new TextEncoder().encode("b");
    };
    return new Response(body.call(this));
  }

  #check(): void {
    if (this.state !== "awake") this.faults.push(`asked while ${this.state}`);
  }
}

function awakeWith(machines: Machines, clock = { now: 0 }) {
  const failures: string[] = [];
  const awake = new Awake(
    machines,
    IDLE_MS,
    () => clock.now,
    (key, error) => failures.push(`${key}: ${error}`),
  );
  return { awake, clock, failures };
}

test("requests that find a machine asleep share one wake and are all answered", async () => {
  const gate = Promise.withResolvers<void>();
  const machine = new OneMachine(async (what) => (what === "wake" ? gate.promise : undefined));
  const { awake } = awakeWith(machine);
  const answers = Array.from({ length: 50 }, () => awake.serve("m", () => machine.answer()));
  expect(awake.open("m")).toBe(50);
  gate.resolve();
  const texts = await Promise.all(answers.map(async (answer) => (await answer).text()));
  expect(texts).toEqual(new Array(50).fill("ab"));
  expect({ wakes: machine.wakes, open: awake.open("m"), faults: machine.faults }).toEqual({
    wakes: 1,
    open: 0,
    faults: [],
  });
});

test("when a wake fails each that waited hears of it, and the next request wakes anew", async () => {
  const machine = new OneMachine(undefined, { wake: true });
  const { awake } = awakeWith(machine);
  const waiting = await Promise.allSettled([1, 2, 3].map(() => awake.serve("m", () => machine.answer())));
  expect(waiting).toEqual(new Array(3).fill({ status: "rejected", reason: new Error("no power") }));
  expect(machine.wakes).toBe(1);
  machine.fails.wake = false;
  expect(await (await awake.serve("m", () => machine.answer())).text()).toBe("ab");
  expect(machine.wakes).toBe(2);
});

test("a machine that did not answer is woken again, since it may be elsewhere now", async () => {
  const machine = new OneMachine();
  const { awake } = awakeWith(machine);
  await expect(awake.serve("m", () => Promise.reject(new Error("refused")))).rejects.toThrow("refused");
  await awake.serve("m", async () => new Response(null));
  expect({ wakes: machine.wakes, open: awake.open("m") }).toEqual({ wakes: 2, open: 0 });
});

test("only what has been idle for the time is put to sleep, and an unread body is not idle", async () => {
  const machine = new OneMachine();
  const { awake, clock } = awakeWith(machine);
  const answer = await awake.serve("m", () => machine.answer());
  clock.now = 10 * IDLE_MS;
  await awake.sweep();
  expect(await awake.sleep("m")).toBe("needed");
  expect(machine.sleeps).toBe(0);
  await answer.text();
  clock.now += IDLE_MS - 1;
  await awake.sweep();
  expect({ sleeps: machine.sleeps, keys: awake.keys }).toEqual({ sleeps: 0, keys: ["m"] });
  clock.now += 1;
  await awake.sweep();
  expect({ sleeps: machine.sleeps, keys: awake.keys }).toEqual({ sleeps: 1, keys: [] });
});

test("an answer that nobody reads on, fails or has no body ends its request once", async () => {
  const { awake } = awakeWith(new OneMachine());
  const endless = new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(1)) });
  const dropped = await awake.serve("m", async () => new Response(endless));
  const other = await awake.serve("m", async () => new Response(new ReadableStream({})));
  await dropped.body!.cancel();
  expect(awake.open("m")).toBe(1);
  const reader = other.body!.getReader();
  const reading = reader.read();
  await reader.cancel();
  expect((await reading).done).toBe(true);
  const failing = new ReadableStream({ pull: (controller) => controller.error(new Error("gone")) });
  const failed = await awake.serve("m", async () => new Response(failing));
  await expect(failed.text()).rejects.toBeUndefined();
  await awake.serve("m", async () => new Response(null, { status: 204 }));
  expect(awake.open("m")).toBe(0);
});

test("a machine that cannot be stopped is told of, serves on, and is tried again after the time", async () => {
  const machine = new OneMachine(undefined, { sleep: true });
  const { awake, clock, failures } = awakeWith(machine);
  awake.found("m");
  clock.now = IDLE_MS;
  await awake.sweep();
  await awake.sweep();
  expect({ failures, sleeps: machine.sleeps }).toEqual({ failures: ["m: Error: stuck"], sleeps: 1 });
  expect(await (await awake.serve("m", () => machine.answer())).text()).toBe("ab");
  machine.fails.sleep = false;
  clock.now += IDLE_MS;
  await awake.sweep();
  expect({ keys: awake.keys, state: machine.state }).toEqual({ keys: [], state: "asleep" });
});

test("in any order of arrivals, ends and sweeps, all are answered and none by a machine that stops", async () => {
  const step = fc.constantFrom<"request" | "sweep">("request", "request", "sweep");
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), fc.array(step, { minLength: 1, maxLength: 25 }), async (s, steps) => {
      const machine = new OneMachine((what) => s.schedule(Promise.resolve(), what));
      const { awake, clock, failures } = awakeWith(machine);
      const answers: Promise<string>[] = [];
      const sweeps: Promise<void>[] = [];
      const { task } = s.scheduleSequence(
        steps.map((what) => async () => {
          clock.now += IDLE_MS;
          if (what === "sweep") sweeps.push(awake.sweep());
          else answers.push(awake.serve("m", () => machine.answer()).then((answer) => answer.text()));
        }),
      );
      await s.waitFor(task);
      await s.waitFor(Promise.all([...answers, ...sweeps]));
      expect(await Promise.all(answers)).toEqual(new Array(answers.length).fill("ab"));
      clock.now += IDLE_MS;
      await s.waitFor(awake.sweep());
      expect({ faults: machine.faults, failures, keys: awake.keys, state: machine.state }).toEqual({
        faults: [],
        failures: [],
        keys: [],
        state: "asleep",
      });
    }),
    { seed: 20_261_125, numRuns: 300 },
  );
});

test("who waits for quiet is told when the last request has ended, or at the deadline", async () => {
  const awake = new Awake(
    new OneMachine(),
    IDLE_MS,
    () => 0,
    () => undefined,
  );
  const never = new AbortController().signal;
  await awake.quiet("m", never);
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  const first = awake.hold("m", () => held);
  const second = awake.hold("m", () => held);
  expect(awake.open("m")).toBe(2);
  await awake.quiet("m", AbortSignal.timeout(1));
  expect(awake.open("m")).toBe(2);
  const quiet = awake.quiet("m", never);
  release();
  await Promise.all([first, second, quiet]);
  expect(awake.open("m")).toBe(0);
});
