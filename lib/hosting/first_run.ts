import { SplError } from "../base/errors.ts";
import type { Awake } from "./awake.ts";
import type { Hosting } from "./hosting.ts";
import { mint, stepFor, wake } from "./machine.ts";
import { firstRecoveryCode } from "./owners.ts";
import type { HostedInstance, Link } from "./registry.ts";
import { secretHash } from "./secrets.ts";

/**
 * The one-shot link (spec, section 10): looking changes nothing, link previews do that too; the token is made when it is
 * asked for, shown once, and kept nowhere.
 */

export interface FirstRun {
  link: Link;
  instance: HostedInstance;
}

export interface Revealed {
  instance: HostedInstance;
  /** The bootstrap token, in clear. */
  token: string;
  /** The owner's recovery code where the owner had none yet, in clear. */
  recovery_code: string | null;
}

/** What a link leads to. @throws SplError not_found */
export async function firstRun({ registry }: Hosting, secret: string): Promise<FirstRun> {
  const link = secret.length > 100 ? null : await registry.link(secretHash(secret));
  const instance = link && (await registry.instance(link.instance));
  if (instance) return { link, instance };
  throw new SplError("not_found", "this link leads nowhere", {
    hint: "copy the whole link; /instances shows the newest one to the owner",
  });
}

/**
 * Makes and returns the bootstrap token, for the first who asks.
 * @throws SplError not_found; conflict when it was shown before, or another link has taken its place, or the instance is
 *   not ready; what making it throws, after which the link is good as before
 */
export async function reveal(
  hosting: Hosting,
  secret: string,
  awake: Pick<Awake, "hold">,
): Promise<Revealed> {
  const { registry, settings, ports } = hosting;
  const { link, instance } = await firstRun(hosting, secret);
  if (instance.state !== "ready") {
    throw new SplError("conflict", `the instance is ${instance.state}, not ready`, {
      hint: "wait until it is ready",
    });
  }
  const hash = secretHash(secret);
  if (!(await registry.claimLink(hash, ports.clock()))) throw shownBefore(link.void);
  try {
    const step = stepFor(hosting, instance, settings.deadlines.boot + settings.deadlines.bootstrap);
    const token = await awake.hold(instance.id, async () => {
      await wake(hosting, step);
      return mint(hosting, step);
    });
    const recovery_code = await firstRecoveryCode(hosting, instance.owner);
    ports.log("token-revealed", { instance: instance.id });
    return { instance, token, recovery_code };
  } catch (error) {
    await registry.releaseLink(hash);
    throw error;
  }
}

function shownBefore(isVoid: boolean): SplError {
  return new SplError(
    "conflict",
    isVoid ? "this link is void: a newer one was made" : "the bootstrap token of this link was shown already",
    { hint: "the owner can make another: regenerate bootstrap token" },
  );
}
