import { describe, expect, test } from "bun:test";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { SplError } from "../../../lib/base/errors.ts";
import { ClosedPipe, FdWriter } from "../../../lib/ui/streams.ts";
import { ScratchHome } from "../../kit/spl.ts";

const streams = join(import.meta.dir, "../../../lib/ui/streams.ts");

test("chunks of any kind arrive whole and in order, awaited or not", async () => {
  using home = new ScratchHome();
  const path = join(home.path, "out");
  const fd = openSync(path, "w");
  const writer = new FdWriter(fd, "out");
  let expected = "";
  for (let i = 0; i < 50_000; i++) {
    const text = `${i} grüße 世界\n`;
    expected += text;
    const done = writer.write(i % 2 ? text : new TextEncoder().encode(text));
    if (i % 3 === 0) await done;
  }
  await writer.flush();
  closeSync(fd);
  expect(readFileSync(path, "utf8")).toBe(expected);
});

test("two streams to one place: what follows an awaited line comes behind it", async () => {
  using home = new ScratchHome();
  const path = join(home.path, "both");
  const fd = openSync(path, "a");
  const [out, err] = [new FdWriter(fd, "out"), new FdWriter(fd, "err")];
  let expected = "";
  for (let i = 0; i < 200; i++) {
    await err.line(`warning ${i}`);
    await out.write(`result ${i}\n`);
    await out.flush();
    expected += `warning ${i}\nresult ${i}\n`;
  }
  closeSync(fd);
  expect(readFileSync(path, "utf8")).toBe(expected);
});

test.skipIf(process.platform !== "linux")("a full disk is an error that says so", async () => {
  const fd = openSync("/dev/full", "w");
  const writer = new FdWriter(fd, "standard output");
  await writer.write("x");
  const thrown = await writer.flush().catch((error: unknown) => error);
  expect(thrown).toBeInstanceOf(SplError);
  expect((thrown as SplError).code).toBe("disk_full");
  expect((thrown as SplError).message).toBe("cannot write to standard output: no space left on the device");
  await expect(writer.write("y")).rejects.toBe(thrown);
  closeSync(fd);
});

describe("a process of its own", () => {
  const script = (body: string): string[] => [
    process.execPath,
    "-e",
    `import { ClosedPipe, FdWriter } from ${JSON.stringify(streams)};
     const out = new FdWriter(1, "standard output");
     ${body}`,
  ];

  test("loses nothing into a pipe when it exits behind the flush", async () => {
    const child = Bun.spawn(
      script(
        `for (let i = 0; i < 64; i++) out.write(Buffer.alloc(65537, 97)); await out.flush(); process.exit(0)`,
      ),
      { stdout: "pipe" },
    );
    expect((await child.stdout.bytes()).length).toBe(64 * 65537);
    expect(await child.exited).toBe(0);
  });

  test("hears of a reader that went away, and does not write on for ever", async () => {
    const [bun, flag, body] = script(
      `try { for (;;) await out.write("y\\n".repeat(1000)) } catch (error) { process.exit(error instanceof ClosedPipe ? 42 : 1) }`,
    );
    const shell = Bun.spawn(
      ["bash", "-c", `"$@" | head -c 10; exit "\${PIPESTATUS[0]}"`, "bash", bun!, flag!, body!],
      {
        stdout: "pipe",
      },
    );
    expect(await shell.stdout.text()).toBe("y\ny\ny\ny\ny\n");
    expect(await shell.exited).toBe(42);
  });
});

test("a closed pipe is no failure of the writer's own", () => {
  expect(new ClosedPipe()).not.toBeInstanceOf(SplError);
});
