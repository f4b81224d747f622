import { BUNDLE_TYPE, MANIFEST_HEADER } from "../api/media.ts";
import { fromBase64UrlText, fromUtf8 } from "../base/bytes.ts";
import { SplError } from "../base/errors.ts";
import type { OwnerAccess } from "./access.ts";
import { untilEnd } from "./awake.ts";
import type { Hosting } from "./hosting.ts";
import { alone, type Lease } from "./lease.ts";
import { stepFor } from "./machine.ts";
import { type HostedInstance, REMOVING } from "./registry.ts";

/**
 * The end of an instance here. Its owner proves to hold everything by naming the `bundle_sha256` of a bundle: the same
 * state gives the same bundle, so the service makes the manifest once more and compares, while nobody can write. A
 * download from here proves nothing: its last bytes may be in buffers on the way, and the client gone.
 */

/** Of the removal, milliseconds. */
const END_MS = 120_000;
/** How long requests that are under way may go on before the end, milliseconds. */
const QUIET_MS = 30_000;

/** What keeps machines awake, as the end needs it. */
export interface Quiet {
  /** Resolves when no request is under way that does more than listen, or the signal aborts: whether none is. */
  quiet(id: string, signal: AbortSignal): Promise<boolean>;
  /** The machine runs, and is to sleep when nobody needs it. */
  found(id: string): void;
}

/** Which bundle its owner holds; null: none is wanted. */
export type Proof = string | null;

/**
 * Removes an instance and its machine; the label is never given again.
 * @param to `left`: its address says where the identity lives now; `deleted`: it says that it is gone
 * @throws SplError conflict when the instance is not ready, or has changed since the bundle was taken, and then goes on
 */
export async function end(
  access: OwnerAccess,
  instance: HostedInstance,
  to: "left" | "deleted",
  proof: Proof,
  quiet: Quiet,
): Promise<void> {
  const ran = await alone(access.hosting, instance.id, (lease) =>
    endAlone(access, instance, to, proof, quiet, lease),
  );
  if (!ran) throw busy();
}

async function endAlone(
  access: OwnerAccess,
  instance: HostedInstance,
  to: "left" | "deleted",
  proof: Proof,
  quiet: Quiet,
  { holder, lost }: Lease,
): Promise<void> {
  const { hosting } = access;
  const { registry, driver, ports } = hosting;
  if (!(await registry.move(instance.id, "ready", "ending"))) throw busy();
  let did: string | null = null;
  try {
    if (proof !== null) {
      const isQuiet = await quiet.quiet(instance.id, AbortSignal.any([ports.deadline(QUIET_MS), lost]));
      lost.throwIfAborted();
      // What is still under way could be answered after the comparison, and be removed all the same.
      if (!isQuiet) {
        await driver.sleep(stepFor(hosting, instance, END_MS));
        access.forget(instance.id);
      }
      did = await compare(access, instance, proof);
    }
  } catch (error) {
    if (lost.aborted) throw busy();
    await registry.move(instance.id, "ending", "ready");
    quiet.found(instance.id);
    throw error;
  }
  if (!(await registry.beginRemoving(instance.id, to, did, holder))) throw busy();
  await remove(hosting, { ...instance, state: REMOVING[to] });
}

function busy(): SplError {
  return new SplError("conflict", "the instance is not ready: something else is done with it", {
    hint: "look again in a moment",
  });
}

async function remove({ registry, driver, ports }: Hosting, instance: HostedInstance): Promise<void> {
  const to = instance.state === REMOVING.left ? "left" : "deleted";
  await driver.destroy({ machine: instance, handles: instance.handles, signal: ports.deadline(END_MS) });
  await registry.becomeEnded(instance.id, to, ports.clock());
  ports.log("ended", { instance: instance.id, label: instance.label, state: to });
}

type Found = Pick<Quiet, "found">;

/** After the service was killed in the middle of ends. */
export async function resumeEnds(hosting: Hosting, awake: Found): Promise<void> {
  const { registry, ports } = hosting;
  for (const { id } of await registry.list({ states: ["ending"] })) await goOnEnding(hosting, id, awake);
  // A removal may take minutes, and the others need not wait for it.
  const removing = await registry.list({ states: Object.values(REMOVING) });
  for (const { id } of removing) ports.background(goOnEnding(hosting, id, awake));
}

/**
 * Goes on with an end that was broken off, unless somebody is at it: as long as nothing was removed it is an instance
 * again, since nobody was told that it is gone; else the removal goes on. A failure is told in the log.
 */
export async function goOnEnding(hosting: Hosting, id: string, awake: Found): Promise<void> {
  const { registry, ports } = hosting;
  await alone(hosting, id, async () => {
    if (await registry.move(id, "ending", "ready")) awake.found(id);
    const instance = await registry.instance(id);
    if (instance?.state === REMOVING.left || instance?.state === REMOVING.deleted)
      await remove(hosting, instance);
  }).catch((error) => ports.log("end-failed", { instance: id, error: String(error) }));
}

/** The DID of the bundle that the instance gives now. @throws SplError conflict when it is another bundle */
async function compare(access: OwnerAccess, instance: HostedInstance, proof: string): Promise<string> {
  const found: string[] = [];
  await access.use(instance, async (ask) => {
    for (const carry of [false, true]) {
      const response = await ask(`/v1/export?carry_tokens=${carry}`, { headers: { accept: BUNDLE_TYPE } });
      await response.body?.cancel();
      const { bundle_sha256, source_did } = manifestOf(response);
      found.push(bundle_sha256, source_did);
    }
  });
  const [plain, did, carrying] = found;
  if (proof === plain || proof === carrying) return did!;
  throw new SplError("conflict", "the bundle is not what the instance holds now", {
    hint: "download it again, then repeat this with that one (its bundle_sha256; spl bundle show FILE)",
  });
}

/**
 * The bundle of the instance as it is now. That it was sent says nothing of what has arrived.
 * @throws SplError hosting_unavailable
 */
export async function takeBundle(access: OwnerAccess, instance: HostedInstance): Promise<Response> {
  const begun = Promise.withResolvers<Response>();
  const sent = Promise.withResolvers<void>();
  const task = access
    .use(instance, async (ask) => {
      const response = await ask("/v1/export", { headers: { accept: BUNDLE_TYPE } });
      begun.resolve(new Response(untilEnd(response, sent.resolve).body));
      await sent.promise;
    })
    .catch(begun.reject);
  // The token ends only after the last byte has gone out.
  access.hosting.ports.background(task);
  return begun.promise;
}

function manifestOf(response: Response): { bundle_sha256: string; source_did: string } {
  const header = response.headers.get(MANIFEST_HEADER);
  const text = header === null ? null : fromUtf8(fromBase64UrlText(header) ?? new Uint8Array());
  if (text === null) throw new SplError("hosting_unavailable", "the instance did not send a manifest");
  return JSON.parse(text) as { bundle_sha256: string; source_did: string };
}
