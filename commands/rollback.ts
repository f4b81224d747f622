import type { Import, Rollback } from "../lib/api/wire.ts";
import { SplError } from "../lib/base/errors.ts";
import { exists } from "../lib/base/exists.ts";
import { defaultHome, homePaths, rollbackCopies } from "../lib/base/home.ts";
import { safeText } from "../lib/base/safe_text.ts";
import { counted } from "../lib/base/text.ts";
import type { Instance } from "../lib/instance/instance.ts";
import { type Fact, renderFacts } from "../lib/ui/facts.ts";
import { confirm } from "../lib/ui/prompt.ts";
import { type Context, defineSpl, printList, printResult, runAlone, targetArgs } from "./_kit.ts";
import { connect } from "./_target.ts";
import { upgradeNote } from "./_upgrade_note.ts";

const command = defineSpl({
  name: "rollback",
  summary: "List the imports, and take an instance back to before one",
  description:
    "`spl rollback list` shows them; `spl rollback` undoes the last, `spl rollback N` number N and all that came later,\nrecords written since among it. Everything is first saved to a bundle outside the home. In a script it needs --yes.",
  args: {
    batch: {
      type: "positional",
      required: false,
      description: "number of the import (else the last one), or list",
    },
    yes: { type: "boolean", description: "do not ask" },
    offline: {
      type: "boolean",
      description: "on this machine's home without its daemon; refused while one runs",
    },
    ...targetArgs,
  },
  examples: ["spl rollback list", "spl rollback", "spl rollback 3 --yes"],
  run: async (ctx, { batch, yes, offline, url }) => {
    const n = numberOf(batch);
    if (offline && url !== undefined)
      throw new SplError("usage", "--offline is for this machine's home; leave out --url");
    const target = offline ? await offlineTarget(ctx) : onlineTarget(ctx, url);
    try {
      const imports = await target.imports();
      if (batch === "list") await list(ctx, imports);
      else await rollBack(ctx, target, imports, n, yes);
    } finally {
      await target.close();
    }
  },
});

/** An instance, through its daemon or directly. */
interface Target {
  imports(): Promise<Import[]>;
  records(): Promise<number>;
  rollBack(batch: number | null): Promise<Rollback>;
  /** Where the copy is, if not on this machine. */
  remote: string | null;
  close(): Promise<void>;
}

function numberOf(batch: string | undefined): number | null {
  if (batch === undefined || batch === "list") return null;
  if (/^[1-9]\d{0,14}$/.test(batch)) return Number(batch);
  throw new SplError("usage", `'${batch}' is no number of an import`, {
    hint: "spl rollback list shows them",
  });
}

function onlineTarget(ctx: Context, url: string | undefined): Target {
  const client = connect(ctx, { url });
  const { socket } = client.target;
  return {
    imports: () => client.imports().catch(sayOffline(socket !== null)),
    records: async () => (await client.status()).records,
    rollBack: (batch) => client.rollBack(batch),
    remote: socket === null ? client.target.url : null,
    close: async () => undefined,
  };
}

/** Of a daemon that does not run: it can be done without it. */
function sayOffline(isLocal: boolean): (error: unknown) => never {
  return (error) => {
    if (!isLocal || !(error instanceof SplError) || error.code !== "unreachable") throw error;
    throw error.retold({ hint: "spl serve --daemon starts it; spl rollback --offline works without it" });
  };
}

async function offlineTarget(ctx: Context): Promise<Target> {
  const [{ makeHome }, { Instance: Home }, { HomeLock }, rollback] = await Promise.all([
    import("../lib/instance/home.ts"),
    import("../lib/instance/instance.ts"),
    import("../lib/instance/lock.ts"),
    import("../lib/instance/rollback.ts"),
  ]);
  const home = defaultHome(ctx.env);
  const paths = homePaths(home);
  if (!exists(paths.db)) {
    throw new SplError("not_initialized", `there is no instance at ${home}`, {
      hint: "set SYNCROPEL_HOME to its home",
    });
  }
  // A copy of a home may lack the folder of the lock.
  makeHome(paths);
  const lock = HomeLock.tryTake(paths);
  if (!lock) {
    throw new SplError("daemon_running", `the daemon of ${home} is running`, {
      hint: "leave out --offline, or spl serve --stop",
    });
  }
  const reading = async <T>(read: (instance: Instance) => Promise<T>): Promise<T> => {
    const copies: string[] = [];
    const onMigrated = ({ snapshot }: { snapshot: string }) => copies.push(snapshot);
    const instance = await Home.open(home, {}, { keyless: true, onMigrated });
    for (const copy of copies) await ctx.err.line(upgradeNote(copy));
    try {
      return await read(instance);
    } finally {
      await instance.close();
    }
  };
  return {
    imports: () => reading(rollback.listImports),
    records: () => reading(({ store }) => store.read(async (reader) => (await reader.totals()).records)),
    rollBack: (batch) => rollback.rollBack(home, { batch, copies: rollbackCopies(ctx.env) }),
    remote: null,
    close: async () => lock.release(),
  };
}

function list(ctx: Context, imports: Import[]): Promise<void> {
  return printList(
    ctx,
    imports,
    [
      { title: "N", value: (row) => row.n, align: "right" },
      { title: "TIME", value: (row) => row.at },
      { title: "SOURCE", value: (row) => row.source_did, shrink: true },
      { title: "INSERTED", value: (row) => row.inserted, align: "right" },
      { title: "RECORDS_BEFORE", value: (row) => row.records_before, align: "right" },
      { title: "DIGEST_BEFORE", value: (row) => row.digest_before.slice(0, 16) },
      { title: "STATE", value: stateOf },
    ],
    "no imports yet",
  );
}

function stateOf({ state, did_before, did_after }: Import): string {
  if (state === "kept") return "no way back";
  return state === "standing" && did_before !== did_after ? "adopted" : state;
}

async function rollBack(
  ctx: Context,
  target: Target,
  imports: Import[],
  n: number | null,
  yes: boolean,
): Promise<void> {
  const standing = imports.filter(({ state }) => state !== "undone");
  const first = standing.find((each) => each.n === (n ?? standing.at(-1)?.n));
  // What there is nothing to ask about is refused by the instance, in its words.
  if (!yes && first?.state === "standing") await ask(ctx, target, standing, first);
  ctx.progress.update("rolling back");
  const done = await target.rollBack(n);
  await printResult(ctx, done, () => text(done));
  if (ctx.output !== "text") return;
  await ctx.out.flush();
  if (done.copy !== null) await ctx.err.line(copyNote(done.copy, target.remote));
  if (done.left_did !== null) {
    await ctx.err.line(`this home is ${done.instance_did} again, and not ${done.left_did} any more`);
    await ctx.err.line(`in the home where that one lived before, spl serve --reclaim takes it back`);
  }
}

async function ask(ctx: Context, target: Target, standing: Import[], first: Import): Promise<void> {
  const undone = standing.filter(({ n }) => n >= first.n);
  const imported = undone.reduce((sum, { inserted }) => sum + inserted, 0);
  const local = (await target.records()) - first.records_before - imported;
  const others = undone.length === 1 ? "" : ` and ${counted(undone.length - 1, "later import")}`;
  const since = local === 0 ? "" : `, and ${counted(local, "record")} that came since`;
  const deed = `Undo import ${first.n}${others}: ${counted(imported, "record")} of ${undone.length === 1 ? "it" : "them"}${since} are saved and removed`;
  if (await confirm(deed, ctx, ". Go on?")) return;
  throw new SplError("usage", "nothing was rolled back", { hint: "answer y, or pass --yes" });
}

function text(done: Rollback): string {
  const batches = done.batches === 1 ? `import ${done.batch}` : `import ${done.batch} and all later ones`;
  const facts: Fact[] = [
    [
      "removed",
      `${counted(done.removed, "record")}${done.removed_local > 0 ? `, ${done.removed_local} of them written or synced since` : ""}`,
    ],
    ["put back", counted(done.restored, "envelope")],
    ["records", done.records],
    ["digest", `${done.digest} (as before the import)`],
    ["identity", `${done.identity} (${done.instance_did})`],
    ["copy", done.copy === null ? "none" : safeText(done.copy)],
  ];
  return `✓ Back to before ${batches}\n${renderFacts(facts.filter(([name]) => name !== "put back" || done.restored > 0))}`;
}

function copyNote(copy: string, remote: string | null): string {
  const where = remote === null ? "" : `, on the machine of ${remote},`;
  if (copy.endsWith(".db")) {
    return `a record is damaged, so the copy${where} is the store file and no bundle; spl doctor --deep tells whether the damage is gone`;
  }
  return `the copy holds everything as it was${where} and can act as you: keep it like a password, or remove it`;
}

export default command;
if (import.meta.main) await runAlone(command);
