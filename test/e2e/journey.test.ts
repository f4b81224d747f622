import { expect, test } from "bun:test";
import { join } from "node:path";

test("the journey ends in equal digests and byte-identical bundles", async () => {
  const journey = Bun.spawn([process.execPath, join(import.meta.dir, "journey.ts")], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [shown, error, status] = await Promise.all([
    journey.stdout.text(),
    journey.stderr.text(),
    journey.exited,
  ]);
  expect(error).toBe("");
  expect(status).toBe(0);
  expect(shown).toContain("  identity:            adopted (private key matches incoming bundle)\n");
  expect(shown).toEndWith("✓ The journey is complete: equal digests, byte-identical bundles, both ways.\n");
});
