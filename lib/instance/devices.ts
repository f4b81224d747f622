import { isoTime } from "../base/clock.ts";
import { SplError } from "../base/errors.ts";
import { type DeviceTerms, readTerms } from "../folds/devices.ts";
import { foldInput } from "../folds/input.ts";
import { RESERVED_THREADS } from "../folds/reserved.ts";
import { MAX_TRIES } from "../pairing/code.ts";
import type { Entry } from "../record/types.ts";
import type { Account, Pairing, Reader, Token, Writer } from "../store/types.ts";
import { emitOwn } from "./emit.ts";
import type { Instance } from "./instance.ts";
import { foldReserved } from "./reserved.ts";
import type { Caller } from "./scopes.ts";

/** Devices: records on `th_devices` that travel, joined with the pairings and accounts of this host, which do not. */

export type PairingState = "waiting" | "redeemed" | "connected" | "expired" | "refused" | "revoked";

export interface DeviceView {
  /** Id of the record that began the pairing. */
  id: string;
  device: string;
  scopes: string[];
  state: PairingState | "elsewhere";
  /** Null until the code is redeemed, and for a device of another host. */
  account: string | null;
  last_used_at: string | null;
}

/** A device as this host knows it. */
interface KnownDevice extends DeviceTerms {
  id: string;
  /** Whether a record on `th_devices` says so. */
  revoked: boolean;
  pairing: Pairing | null;
}

/** By name. */
export function listDevices(instance: Instance): Promise<DeviceView[]> {
  return instance.store.read(async (reader) => {
    const known = await knownDevices(instance, reader);
    const views: DeviceView[] = [];
    for (const each of known.values()) views.push(await deviceView(instance, reader, each));
    return views.sort((a, b) => (a.device < b.device ? -1 : 1));
  });
}

/**
 * Ends a device: by a record, so that it is known wherever the instance moves, and by closing its account here.
 * Without effect on one that is revoked. @throws SplError not_found
 */
export function revokeDevice(instance: Instance, device: string, caller: Caller): Promise<DeviceView> {
  return instance.store.transact(async (writer) => {
    const known = (await knownDevices(instance, writer)).get(device);
    if (!known) {
      throw new SplError("not_found", `there is no device "${device}"`, {
        hint: "spl device list shows all",
      });
    }
    const before = await deviceView(instance, writer, known);
    if (before.state === "revoked") return before;
    const now = instance.ports.clock();
    const { pairing } = known;
    await emitOwn(instance, writer, RESERVED_THREADS.devices, { topic: "device-revoked", device });
    if (pairing?.account) await writer.revokeAccount(pairing.account, now);
    else if (pairing) await writer.removePairing(pairing.id);
    await writer.addAudit(now, "device.revoke", { device, account: before.account, by: caller.account });
    return deviceView(instance, writer, { ...known, revoked: true });
  });
}

/** Closes devices of this host that a record revokes which came from elsewhere. */
export async function closeRevokedDevices(instance: Instance, writer: Writer): Promise<void> {
  const now = instance.ports.clock();
  for (const { device, revoked, pairing } of (await knownDevices(instance, writer)).values()) {
    if (!revoked || !pairing) continue;
    if (pairing.account === null) await writer.removePairing(pairing.id);
    else if ((await writer.account(pairing.account))?.revokedAt === null) {
      await writer.revokeAccount(pairing.account, now);
      await writer.addAudit(now, "device.revoke", { device, account: pairing.account, by: "import" });
    }
  }
}

/**
 * By name: what the thread says, and in its place what was paired here, even under an identity that the instance had
 * before an import: those tokens are still good.
 */
export async function knownDevices(instance: Instance, reader: Reader): Promise<Map<string, KnownDevice>> {
  const { did, devices } = await foldReserved(instance, reader);
  const known = new Map(
    devices.all().map((entry) => [entry.device, { ...entry, pairing: null } as KnownDevice]),
  );
  for (const pairing of await reader.pairings()) {
    const origin = await originOf(reader, pairing);
    if (!origin) continue;
    const { entry, terms } = origin;
    const revoked = entry?.signer === did && devices.isRevoked(terms.device, entry.clock);
    known.set(terms.device, { ...terms, id: pairing.device, revoked, pairing });
  }
  return known;
}

/**
 * The record behind a pairing, and what it says; null when it is gone, as after a rollback. A device that is in stays
 * in, under what its account says.
 */
export async function originOf(
  reader: Reader,
  pairing: Pairing,
): Promise<{ entry: Entry | null; terms: DeviceTerms } | null> {
  const entry = await reader.record(pairing.device);
  const terms = entry && readTerms(foldInput(entry).body);
  if (terms) return { entry, terms };
  const account = pairing.account === null ? null : await reader.account(pairing.account);
  if (!account) return null;
  const { description: device, scopes, actors } = account;
  return { entry: null, terms: { device, scopes, actors } };
}

export async function deviceView(
  instance: Instance,
  reader: Reader,
  { id, device, scopes, revoked, pairing }: KnownDevice,
): Promise<DeviceView> {
  const account = pairing?.account ? await reader.account(pairing.account) : null;
  const tokens = account ? await reader.tokens(account.name) : [];
  const lastUsed = Math.max(0, ...tokens.map(({ lastUsedAt }) => lastUsedAt ?? 0));
  const state = pairing ? stateOf(pairing, account, tokens, instance.ports.clock()) : "elsewhere";
  return {
    id,
    device,
    scopes: account?.scopes ?? scopes,
    state: revoked ? "revoked" : state,
    account: account?.name ?? null,
    last_used_at: lastUsed === 0 ? null : isoTime(lastUsed),
  };
}

export function stateOf(
  { tries, expiresAt }: Pairing,
  account: Account | null,
  tokens: readonly Token[],
  now: number,
): PairingState {
  if (account) {
    if (account.revokedAt !== null) return "revoked";
    return tokens.some(({ lastUsedAt }) => lastUsedAt !== null) ? "connected" : "redeemed";
  }
  if (tries >= MAX_TRIES) return "refused";
  return expiresAt <= now ? "expired" : "waiting";
}
