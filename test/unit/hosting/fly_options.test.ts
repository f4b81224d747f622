import { expect, test } from "bun:test";
import { join } from "node:path";
import { SplError } from "../../../lib/base/errors.ts";
import { appOf, type FlyOptions, readOptions } from "../../../lib/hosting/fly/options.ts";
import { MACHINE } from "../../kit/fly_steps.ts";

const GOOD: FlyOptions = {
  token: "fm2_x",
  org: "acme",
  regions: ["iad"],
  image: "registry.fly.io/spl:0.33.0",
};

test("defaults", () => {
  const settings = readOptions(GOOD);
  expect(settings).toMatchObject({ prefix: "spl-", api: "https://api.machines.dev/v1" });
  expect(appOf(settings, MACHINE)).toBe("spl-0123456789abcdef");
  expect(readOptions({ ...GOOD, api: "http://127.0.0.1:1/v1/" }).api).toBe("http://127.0.0.1:1/v1");
});

test("the driver needs nothing but Web standards", async () => {
  const entry = join(import.meta.dir, "../../../lib/hosting/fly/driver.ts");
  const { outputs } = await Bun.build({ entrypoints: [entry], target: "browser", minify: true });
  const code = await outputs[0]!.text();
  expect(code).toContain("api.machines.dev");
  expect(code).not.toMatch(/\bBun\.|\bprocess\.|["']node:/);
});

const BAD: Partial<FlyOptions>[] = [
  { token: "" },
  { token: "secret\nsecret" },
  { token: "secret ü" },
  { org: "Acme Inc" },
  { org: "" },
  { regions: [] },
  { regions: ["iad", "London"] },
  { image: "" },
  { image: "spl latest" },
  { prefix: "" },
  { prefix: "-spl" },
  { prefix: "a".repeat(48) },
  { api: "api.machines.dev" },
  { api: "http://api.machines.dev/v1" },
  { api: "https://user:pass@api.machines.dev/v1" },
];
test.each(BAD)("%p is refused, and a token not repeated", (wrong) => {
  try {
    readOptions({ ...GOOD, ...wrong });
  } catch (error) {
    expect(error).toBeInstanceOf(SplError);
    expect(error).toMatchObject({ code: "usage", hint: expect.any(String) });
    expect((error as SplError).message).not.toContain("secret");
    return;
  }
  expect.unreachable();
});
