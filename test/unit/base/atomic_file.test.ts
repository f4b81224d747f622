import { expect, test } from "bun:test";
import { join } from "node:path";
import { syncDirectory } from "../../../lib/base/atomic_file.ts";
import { ScratchHome } from "../../kit/spl.ts";

test("a file system that syncs no folders, as those of network shares, is no failure", () => {
  using home = new ScratchHome();
  syncDirectory(home.path);
  // Linux answers with EINVAL there.
  if (process.platform === "linux") syncDirectory("/proc");
  expect(() => syncDirectory(join(home.path, "nowhere"))).toThrow("ENOENT");
});
