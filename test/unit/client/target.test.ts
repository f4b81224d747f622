import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { homePaths } from "../../../lib/base/home.ts";
import { requireConfidential, resolveTarget } from "../../../lib/client/target.ts";
import { ScratchFolder } from "../../kit/store.ts";

/** A person's machine: home, config and credentials, without a daemon. */
class Person implements Disposable {
  readonly folder = new ScratchFolder();
  readonly env: Record<string, string> = {
    HOME: this.folder.path,
    SYNCROPEL_HOME: this.folder.file("syncro"),
    XDG_CONFIG_HOME: this.folder.file("config"),
  };
  readonly paths = homePaths(this.env.SYNCROPEL_HOME!);

  /** As a daemon on this port would leave it; whether it lives is not asked here. */
  daemonOn(port: number): this {
    mkdirSync(this.paths.run, { recursive: true });
    writeFileSync(this.paths.socket, "");
    writeFileSync(this.paths.daemon, JSON.stringify({ pid: 1, url: "http://x", port, started_at: 1 }));
    return this;
  }

  #write(name: string, text: string): this {
    const folder = join(this.folder.file("config"), "syncropel");
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return this;
  }

  config(url: string): this {
    return this.#write("config.toml", `default_url = "${url}"\n`);
  }

  credentials(tokens: Record<string, string>): this {
    const kept = Object.entries(tokens).map(([url, token]) => [url, { token }]);
    return this.#write("credentials.json", JSON.stringify(Object.fromEntries(kept)));
  }

  target(url?: string, env: Record<string, string> = {}) {
    return resolveTarget({ url }, { ...this.env, ...env });
  }

  [Symbol.dispose](): void {
    this.folder[Symbol.dispose]();
  }
}

test("--url before SPL_SERVE_URL before default_url before the local daemon", () => {
  using me = new Person();
  expect(me.target()).toEqual({
    url: "http://localhost",
    socket: me.paths.socket,
    token: null,
    from: "local daemon",
  });
  me.config("https://config.example");
  expect(me.target()).toMatchObject({ url: "https://config.example", from: "default_url", socket: null });
  const env = { SPL_SERVE_URL: "https://env.example/" };
  expect(me.target(undefined, env)).toMatchObject({ url: "https://env.example", from: "SPL_SERVE_URL" });
  expect(me.target("https://flag.example/i/a/", env)).toMatchObject({
    url: "https://flag.example/i/a",
    from: "--url",
  });
  expect(me.target(undefined, { SPL_SERVE_URL: "" })).toMatchObject({ from: "default_url" });
});

test("a loopback URL with the daemon's port goes to its socket, without a token", () => {
  using me = new Person().daemonOn(9100).credentials({ "http://localhost:9100": "spl_saved" });
  for (const name of ["localhost", "127.0.0.1", "127.1.2.3", "[::1]", "me.localhost"]) {
    expect(me.target(`http://${name}:9100`, { SPL_TOKEN: "spl_env" })).toMatchObject({
      socket: me.paths.socket,
      token: null,
    });
  }
  for (const url of ["http://localhost:9101", "http://localhost:9100/i/label", "http://localhost"]) {
    expect(me.target(url).socket).toBeNull();
  }
  expect(me.target("https://127.0.0.1.example:9100").socket).toBeNull();
});

test("a saved token goes only to where it was saved for", () => {
  using me = new Person().credentials({
    "https://a.example": "spl_a",
    "https://a.example/i/x": "spl_x",
    "https://b.example:8443": "spl_b",
  });
  expect(me.target("https://a.example").token).toBe("spl_a");
  expect(me.target("https://a.example/").token).toBe("spl_a");
  expect(me.target("https://a.example/i/x").token).toBe("spl_x");
  expect(me.target("https://b.example:8443").token).toBe("spl_b");
  for (const url of [
    "https://a.example:8443",
    "https://a.example/i/y",
    "https://b.example",
    "https://A.example.evil",
  ]) {
    expect(me.target(url).token).toBeNull();
  }
});

test("SPL_TOKEN counts with an explicit target only", () => {
  using me = new Person()
    .config("https://config.example")
    .credentials({ "https://config.example": "spl_saved" });
  const env = { SPL_TOKEN: "spl_env" };
  expect(me.target("https://flag.example", env).token).toBe("spl_env");
  expect(me.target(undefined, { ...env, SPL_SERVE_URL: "https://env.example" }).token).toBe("spl_env");
  expect(me.target(undefined, env).token).toBe("spl_saved");
});

test("a token never goes over plain http, except to this machine", () => {
  using me = new Person();
  const env = { SPL_TOKEN: "spl_env" };
  expect(() => me.target("http://box.example:9100", env)).toThrow("plain http");
  expect(() => me.target("http://localhost.example", env)).toThrow("plain http");
  expect(me.target("http://localhost:9100", env).token).toBe("spl_env");
  const open = me.target("http://box.example:9100");
  expect(open.token).toBeNull();
  expect(() => requireConfidential(open, "a bundle")).toThrow("a bundle would be readable on the way");
  expect(() => requireConfidential(me.target("https://box.example"), "a bundle")).not.toThrow();
});

test("an address that is none is refused by where it came from", () => {
  using me = new Person();
  for (const url of [
    "box.example",
    "ftp://box.example",
    "http://",
    "file:///etc/passwd",
    "https://a:b@box.example",
  ]) {
    expect(() => me.target(url)).toThrow("--url ");
    expect(() => me.target(undefined, { SPL_SERVE_URL: url })).toThrow("SPL_SERVE_URL ");
  }
});

test("credentials that others can read are not used", () => {
  using me = new Person();
  const folder = join(me.folder.file("config"), "syncropel");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "credentials.json"), "{}", { mode: 0o644 });
  expect(() => me.target("https://a.example")).toThrow("can be read by others");
});

test("damaged credentials are said, not ignored", () => {
  for (const text of ["[]", "{", "null", '"x"', '{"u":"t"}', '{"u":{"token":1}}', '{"u":{"pending":{}}}']) {
    using me = new Person();
    const folder = join(me.folder.file("config"), "syncropel");
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "credentials.json"), text, { mode: 0o600 });
    expect(() => me.target("https://a.example")).toThrow("credentials.json");
  }
});
