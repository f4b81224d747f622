import { toBase64Url, toHex, utf8 } from "../../base/bytes.ts";
import { SplError } from "../../base/errors.ts";
import { nobleSha256 } from "../../base/sha256.noble.ts";
import { canonicalText } from "../../record/canonical.ts";
import type { Json } from "../../record/types.ts";
import { type FlyApi, Unsure } from "./api.ts";
import { bringUp, pathOf, requireMachine, type Target, versionOf, withLease } from "./machine.ts";
import { FlyMachine, read } from "./shapes.ts";

/**
 * A fresh bootstrap token: made here, told to the instance as its SHA-256, with which it is started anew. Fly never sees
 * the token.
 */

const SECRET_BYTES = 32;
const VARIABLE = "SPL_BOOTSTRAP_TOKEN";

type Config = Record<string, Json>;

/** @returns the token, in clear, once the instance that knows it answers */
export async function mintBootstrap(api: FlyApi, target: Target): Promise<string> {
  const token = `spl_boot_bootstrap_${toBase64Url(api.ports.random(SECRET_BYTES))}`;
  const hash = toHex(nobleSha256.hash(utf8(token)));
  const { id } = await requireMachine(api, target);
  const updated = await withLease(api, target, id, (nonce) => setVariable(api, target, id, hash, nonce));
  await bringUp(api, target, { cordoned: false, version: versionOf(updated) });
  return token;
}

/** Updates take the whole configuration: what was there goes back as it was, and nothing else may have changed. */
async function setVariable(
  api: FlyApi,
  target: Target,
  id: string,
  hash: string,
  nonce: string,
): Promise<FlyMachine> {
  const { signal } = target;
  const path = pathOf(api, target, id);
  let before: Config = {};
  let current = "";
  const look = async () => {
    const machine = read(FlyMachine, await api.call({ method: "GET", path, signal }));
    before = machine.config ?? {};
    current = versionOf(machine);
    return envOf(before)[VARIABLE] === hash ? machine : null;
  };
  const make = async () => {
    // Fly tells a part of the configuration only while it does not reach the machine's host.
    if (before.image === undefined || before.mounts === undefined) throw partial();
    const config = { ...before, env: { ...envOf(before), [VARIABLE]: hash } };
    // Refused (409) if it is no longer the version that was read.
    const body = { config, current_version: current };
    const machine = read(
      FlyMachine,
      await api.once({ method: "POST", path, body, nonce, queues: true, signal }),
    );
    requireKept(before, machine.config ?? {});
    return machine;
  };
  return api.ensure(look, make, signal);
}

function partial(): Unsure {
  const told = new SplError("hosting_unavailable", "Fly does not reach the machine's host", {
    hint: "try again later; status.fly.io tells of troubles",
  });
  return new Unsure(told, null);
}

function envOf({ env }: Config): Record<string, Json> {
  return typeof env === "object" && env !== null && !Array.isArray(env) ? env : {};
}

/** @throws SplError hosting_unavailable */
function requireKept(before: Config, after: Config): void {
  const lost = Object.keys(before).filter(
    (key) => key !== "env" && canonicalText(before[key]!) !== canonicalText(after[key] ?? null),
  );
  const missing = Object.keys(envOf(before)).filter((key) => !(key in envOf(after)));
  if (lost.length + missing.length === 0) return;
  throw new SplError(
    "hosting_unavailable",
    `Fly changed more of the machine than was asked: ${[...lost, ...missing].join(", ")}`,
    { hint: "ask the operator to look at the machine's configuration" },
  );
}
