import { defineSpl, runAlone } from "../../commands/_kit.ts";
import { SplError } from "../../lib/base/errors.ts";

/** A command that ends in every way a command can, for `test/cli/process.test.ts`. */
const command = defineSpl({
  name: "probe",
  summary: "End in some way",
  args: {
    way: {
      type: "positional",
      options: ["big", "partial", "hinted", "crash", "stray", "wait", "stubborn", "deaf"],
      description: "how to end",
    },
  },
  run: async (ctx, { way }) => {
    const aborted = (): Promise<void> =>
      new Promise((resolve) => ctx.signal.addEventListener("abort", () => resolve(), { once: true }));
    const forever = (): Promise<never> => new Promise(() => setInterval(() => undefined, 1000));
    switch (way) {
      case "big":
        // Not awaited on purpose: the frame delivers it.
        for (let i = 0; i < 200_000; i++) ctx.out.line(`line ${i}`).catch(() => undefined);
        return;
      case "partial":
        await ctx.out.line("found so far");
        throw new SplError("checks_failed", "1 check failed");
      case "hinted":
        throw new SplError("store_not_empty", "import refused: local store has 12 records", {
          hint: "pass --force-overwrite\nto import anyway \x1b[2J",
          detail: { records: 12 },
        });
      case "crash":
        throw new TypeError("x is not a function");
      case "stray":
        Promise.reject(new TypeError("nobody awaits this"));
        return forever();
      case "wait": {
        const stop = aborted();
        await ctx.out.line("ready");
        await Promise.race([stop, forever()]);
        await ctx.err.line("cleaned up");
        throw new SplError("unreachable", "the connection was cut");
      }
      case "stubborn": {
        const stop = aborted();
        await ctx.out.line("ready");
        await Promise.race([stop, forever()]);
        await ctx.out.line("heard it");
        return forever();
      }
      case "deaf":
        await ctx.out.line("ready");
        return forever();
    }
  },
});

await runAlone(command);
