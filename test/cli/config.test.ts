import { expect, test } from "bun:test";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runSpl, ScratchHome } from "../kit/spl.ts";

function fileOf(home: ScratchHome): string {
  return join(home.env.XDG_CONFIG_HOME!, "syncropel", "config.toml");
}

function write(home: ScratchHome, text: string): void {
  mkdirSync(join(home.env.XDG_CONFIG_HOME!, "syncropel"), { recursive: true });
  writeFileSync(fileOf(home), text);
}

test("path says where the settings are, whether they are there or not", async () => {
  using home = new ScratchHome();
  const file = fileOf(home);
  expect(await runSpl(["config", "path"], { home })).toEqual({ stdout: `${file}\n`, stderr: "", status: 0 });
  expect(JSON.parse((await runSpl(["config", "path", "-o", "json"], { home })).stdout)).toEqual({
    path: file,
  });
  const fallback = join(home.path, ".config/syncropel/config.toml");
  for (const XDG_CONFIG_HOME of ["", "relative/folder"]) {
    expect((await runSpl(["config", "path"], { home, env: { XDG_CONFIG_HOME } })).stdout).toBe(
      `${fallback}\n`,
    );
  }
});

test("set, show, unset", async () => {
  using home = new ScratchHome();
  const show = async (): Promise<unknown> =>
    JSON.parse((await runSpl(["config", "show", "-o", "json"], { home })).stdout);
  expect(await show()).toEqual({ default_url: null });
  expect(
    (await runSpl(["config", "set", "default_url", "https://MyTeam.example:443/i/box/"], { home })).status,
  ).toBe(0);
  expect(await show()).toEqual({ default_url: "https://myteam.example/i/box" });
  expect((await runSpl(["config", "show"], { home })).stdout).toBe(
    "KEY          VALUE\ndefault_url  https://myteam.example/i/box\n",
  );
  expect(statSync(fileOf(home)).mode & 0o777).toBe(0o600);
  expect((await runSpl(["config", "set", "default_url", "--unset"], { home })).status).toBe(0);
  expect(await show()).toEqual({ default_url: null });
  expect((await runSpl(["config", "set", "default_url", "--unset"], { home })).status).toBe(0);
});

test("other lines and comments stay as they are", async () => {
  using home = new ScratchHome();
  const lines = (url: string): string => `# mine\r\n\n"default_url"  = ${url}  # the team's\n# end`;
  write(home, lines("'http://old.example'"));
  expect((await runSpl(["config", "set", "default_url", "http://new.example/$&"], { home })).status).toBe(0);
  expect(readFileSync(fileOf(home), "utf8")).toBe(lines('"http://new.example/$&"'));
  write(home, "# only a comment");
  await runSpl(["config", "set", "default_url", "http://new.example"], { home });
  expect(readFileSync(fileOf(home), "utf8")).toBe('# only a comment\ndefault_url = "http://new.example"\n');
});

test("values that no instance can have are refused, and the file stays", async () => {
  using home = new ScratchHome();
  write(home, 'default_url = "http://kept.example"\n');
  const cases: [value: string, message: string][] = [
    ["myteam.example", "is no http or https URL"],
    ["ftp://myteam.example", "is no http or https URL"],
    ["file:///etc/passwd", "is no http or https URL"],
    ["http://a\nb.example", "is no http or https URL"],
    ["https://user:secret@myteam.example", "must not hold a name or password"],
    ["https://myteam.example/?a=1", "must not have a query or fragment"],
    ["https://myteam.example/#x", "must not have a query or fragment"],
  ];
  for (const [value, message] of cases) {
    expect(await runSpl(["config", "set", "default_url", value], { home })).toEqual({
      stdout: "",
      stderr: `default_url ${message}; write it like https://myteam.syncropel.com\n`,
      status: 2,
    });
  }
  expect(readFileSync(fileOf(home), "utf8")).toBe('default_url = "http://kept.example"\n');
});

test("wrong usage says what to type", async () => {
  const cases: [args: string[], line: string][] = [
    [["nope", "x"], "KEY must be one of default_url, not 'nope'; see 'spl config set --help'"],
    [
      ["default_url"],
      "VALUE is missing; type 'spl config set default_url VALUE' or 'spl config set default_url --unset'",
    ],
    [
      ["default_url", "http://x", "--unset"],
      "--unset takes no VALUE; type 'spl config set default_url VALUE' or 'spl config set default_url --unset'",
    ],
  ];
  for (const [args, line] of cases) {
    expect(await runSpl(["config", "set", ...args])).toEqual({ stdout: "", stderr: `${line}\n`, status: 2 });
  }
});

test("a damaged file is refused by name, not ignored", async () => {
  using home = new ScratchHome();
  const file = fileOf(home);
  const cases: [text: string, line: RegExp][] = [
    ["default_url = \n", /^FILE is not TOML: .*; mend it with an editor\n$/],
    ["defaulturl = 'http://x'\n", /^unknown key 'defaulturl' in FILE; known: default_url\n$/],
    ["__proto__ = 1\n", /^unknown key '__proto__' in FILE; known: default_url\n$/],
    ["default_url = 3\n", /^default_url in FILE is no text; mend it with an editor\n$/],
    ["default_url = 'ftp://x'\n", /^default_url in FILE is no http or https URL; /],
  ];
  for (const [text, line] of cases) {
    write(home, text);
    for (const args of [
      ["config", "show"],
      ["config", "set", "default_url", "http://x.example"],
    ]) {
      const { stdout, stderr, status } = await runSpl(args, { home });
      expect({ stdout, status }).toEqual({ stdout: "", status: 2 });
      expect(stderr.replaceAll(file, "FILE")).toMatch(line);
    }
    expect(readFileSync(file, "utf8")).toBe(text);
  }
});

test("a value that spans lines is left to an editor", async () => {
  using home = new ScratchHome();
  const text = 'default_url = """\nhttp://x.example"""\n';
  write(home, text);
  expect((await runSpl(["config", "show", "-o", "json"], { home })).stdout).toBe(
    '{"default_url":"http://x.example"}\n',
  );
  const { stderr, status } = await runSpl(["config", "set", "default_url", "http://y.example"], { home });
  expect(status).toBe(2);
  expect(stderr).toBe(
    `cannot change default_url in ${fileOf(home)}: its value spans lines; write it on one line with an editor\n`,
  );
  expect(readFileSync(fileOf(home), "utf8")).toBe(text);
});
