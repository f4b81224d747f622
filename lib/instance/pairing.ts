import { constantTimeEqual, utf8 } from "../base/bytes.ts";
import { isoTime } from "../base/clock.ts";
import { SplError } from "../base/errors.ts";
import { sha256 } from "../base/sha256.ts";
import { shellWord } from "../base/text.ts";
import { RESERVED_THREADS } from "../folds/reserved.ts";
import { codeId, MAX_TRIES, makeCode, PAIRING_MS, readCode } from "../pairing/code.ts";
import type { Pairing, Reader, Writer } from "../store/types.ts";
import { addAccount, freeName } from "./accounts.ts";
import { deviceView, knownDevices, originOf, type PairingState, stateOf } from "./devices.ts";
import { emitOwn } from "./emit.ts";
import type { Instance } from "./instance.ts";
import { type Caller, parseScopes, requireWithin, type Scope } from "./scopes.ts";
import { mint } from "./tokens.ts";

/** A device's way in: a one-time code, redeemed for an account and a token of its own (spec, section 8). */

/** Printable, without spaces at the ends; these few mean something else in the path of a URL. */
const DEVICE_NAME =
  /^(?!(?:\.{1,2}|pairings|redeem)$)(?=.{1,64}$)[^\s\p{C}\p{Z}](?:[^\p{C}\p{Zl}\p{Zp}]*[^\s\p{C}\p{Z}])?$/u;
/** What a device may do unless scopes are named, by the beginning of its name. */
const DEFAULT_SCOPES: readonly (readonly [prefix: string, scopes: readonly Scope[]])[] = [
  ["viewer-", ["records:read"]],
  ["emitter-", ["records:write"]],
  ["browser-", ["records:read", "records:write", "config:read"]],
  ["", ["records:read", "records:write"]],
];

export interface StartedPairing {
  id: string;
  device: string;
  scopes: string[];
  code: string;
  expires_at: string;
}

export interface PairingView {
  id: string;
  device: string;
  state: PairingState;
  expires_at: string;
  nonce: string | null;
}

export interface RedeemedDevice {
  /** Shown this once. */
  token: string;
  account: string;
  device: string;
  scopes: string[];
  instance_did: string;
}

/**
 * Begins a pairing by a record on `th_devices`. One of the same name that still waits is void from now on.
 * @param scopes undefined for those that the name's beginning stands for
 * @throws SplError invalid_request for a bad name or scope; forbidden when the caller has less; conflict when a device
 * of that name has a token here
 */
export function startPairing(
  instance: Instance,
  { device, scopes }: { device: string; scopes?: readonly string[] | undefined },
  caller: Caller,
): Promise<StartedPairing> {
  if (!DEVICE_NAME.test(device)) {
    throw new SplError("invalid_request", "this is no name for a device", {
      hint: "use 1 to 64 printable characters, such as iPhone or browser-office",
    });
  }
  const terms = { scopes: parseScopes(scopes ?? defaultScopes(device)), actors: [...caller.actors] };
  requireWithin(caller, terms);
  return instance.store.transact(async (writer) => {
    await makeWay(instance, writer, device);
    const now = instance.ports.clock();
    const actors = terms.actors.length === 0 ? {} : { actors: terms.actors };
    const body = { topic: "device", device, scopes: terms.scopes, ...actors };
    const code = await freeCode(instance, writer);
    const expiresAt = now + PAIRING_MS;
    await writer.putPairing({
      id: codeId(code),
      device: await emitOwn(instance, writer, RESERVED_THREADS.devices, body),
      secret: secretOf(code),
      tries: 0,
      expiresAt,
      account: null,
      nonce: null,
    });
    const detail = { device, scopes: terms.scopes.join(" "), by: caller.account };
    await writer.addAudit(now, "device.pair", detail);
    return { id: codeId(code), device, scopes: terms.scopes, code, expires_at: isoTime(expiresAt) };
  });
}

function defaultScopes(device: string): readonly Scope[] {
  return DEFAULT_SCOPES.find(([prefix]) => device.startsWith(prefix))![1];
}

/** Takes away what is left of a former pairing of that name. @throws SplError conflict */
async function makeWay(instance: Instance, writer: Writer, device: string): Promise<void> {
  const former = (await knownDevices(instance, writer)).get(device);
  if (!former?.pairing) return;
  const { state } = await deviceView(instance, writer, former);
  if (state === "redeemed" || state === "connected") {
    throw new SplError("conflict", `there is a device "${device}" already`, {
      hint: `choose another name, or end that one with spl device revoke ${shellWord(device)}`,
    });
  }
  await writer.removePairing(former.pairing.id);
}

async function freeCode({ ports }: Instance, reader: Reader): Promise<string> {
  for (;;) {
    const code = makeCode(ports.random);
    if ((await reader.pairing(codeId(code))) === null) return code;
  }
}

/** How far it is. @throws SplError not_found */
export function pairingView(instance: Instance, id: string): Promise<PairingView> {
  return instance.store.read(async (reader) => {
    const pairing = await reader.pairing(id);
    const origin = pairing && (await originOf(reader, pairing));
    if (!origin) {
      throw new SplError("not_found", `there is no pairing ${id}`, {
        hint: "it may have been replaced by another of the same name; spl device list shows all",
      });
    }
    const account = pairing.account === null ? null : await reader.account(pairing.account);
    const tokens = account ? await reader.tokens(account.name) : [];
    return {
      id,
      device: origin.terms.device,
      state: stateOf(pairing, account, tokens, instance.ports.clock()),
      expires_at: isoTime(pairing.expiresAt),
      nonce: pairing.nonce,
    };
  });
}

/**
 * Lets a device in. Five wrong codes burn a pairing, whoever sent them.
 * @param nonce what the device adds; with the code it makes the phrase that both ends show
 * @throws SplError pairing_refused for a code that is unknown, wrong or burned: one answer for all; pairing_spent for
 * the right code after its time or use
 */
export async function redeemPairing(
  instance: Instance,
  { code: typed, nonce }: { code: string; nonce: string },
): Promise<RedeemedDevice> {
  const code = readCode(typed);
  // Most guesses name no pairing: those never wait for the writer.
  const known = code !== null && (await instance.store.read((reader) => reader.pairing(codeId(code))));
  if (!known) throw refused();
  const result = await instance.store.transact(async (writer): Promise<RedeemedDevice | SplError> => {
    const pairing = await writer.pairing(codeId(code));
    if (!pairing || pairing.tries >= MAX_TRIES) return refused();
    const spent = pairing.account !== null || pairing.expiresAt <= instance.ports.clock();
    if (!constantTimeEqual(pairing.secret, secretOf(code))) {
      if (!spent) await countWrong(instance, writer, pairing);
      return refused();
    }
    return spent ? spentError(pairing) : admit(instance, writer, pairing, nonce);
  });
  // Thrown out here, so that the wrong code stays counted.
  if (result instanceof SplError) throw result;
  return result;
}

async function countWrong(instance: Instance, writer: Writer, pairing: Pairing): Promise<void> {
  const tries = pairing.tries + 1;
  await writer.putPairing({ ...pairing, tries });
  if (tries < MAX_TRIES) return;
  const device = (await originOf(writer, pairing))?.terms.device ?? null;
  await writer.addAudit(instance.ports.clock(), "device.refuse", { device, tries });
}

async function admit(
  instance: Instance,
  writer: Writer,
  pairing: Pairing,
  nonce: string,
): Promise<RedeemedDevice | SplError> {
  const origin = await originOf(writer, pairing);
  if (!origin) return refused();
  const { device, scopes, actors } = origin.terms;
  const name = await freeName(writer, accountName(device));
  const fields = { name, kind: "device", scopes, actors, description: device, by: name } as const;
  const account = await addAccount(instance, writer, fields);
  const { token } = await mint(instance, writer, account, { description: device, by: name });
  await writer.putPairing({ ...pairing, account: name, nonce });
  await writer.addAudit(instance.ports.clock(), "device.redeem", { device, account: name });
  const { did } = await instance.signer(writer);
  return { token, account: name, device, scopes: account.scopes, instance_did: did };
}

/** `device-` and what is left of the name in `a-z0-9-`. */
function accountName(device: string): string {
  const plain = device.normalize("NFKD").toLowerCase().replaceAll(/\p{M}/gu, "");
  const slug = plain.replaceAll(/[^a-z0-9]+/g, "-").slice(0, 48);
  return `device-${slug}`.replaceAll(/-+/g, "-").replace(/-$/, "");
}

function secretOf(code: string): Uint8Array {
  return sha256.hash(utf8(code));
}

function refused(): SplError {
  return new SplError("pairing_refused", "this code opens nothing", {
    hint: "compare it with the screen that shows it, or make another there with spl pair --device NAME",
  });
}

function spentError({ account }: Pairing): SplError {
  return new SplError(
    "pairing_spent",
    account === null ? "the code has expired" : "the code has been used already",
    { hint: "make another where it came from, with spl pair --device NAME" },
  );
}
