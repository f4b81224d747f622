import { setTimeout as pause } from "node:timers/promises";
import type { Pairing, PairingCode } from "../lib/api/wire.ts";
import { SplError } from "../lib/base/errors.ts";
import { safeText } from "../lib/base/safe_text.ts";
import { sha256 } from "../lib/base/sha256.ts";
import type { InstanceClient } from "../lib/client/instance_client.ts";
import { isLoopback } from "../lib/client/target.ts";
import { PAIRING_MS } from "../lib/pairing/code.ts";
import { renderFacts } from "../lib/ui/facts.ts";
import { wantsColour } from "../lib/ui/terminal.ts";
import { type Context, printResult } from "./_kit.ts";
import { connect } from "./_target.ts";

const POLL_MS = 500;
/** How long a device that has its token may take for its first call. */
const FIRST_CALL_MS = 60_000;

export interface PairOptions {
  readonly device: string;
  /** Where the device reaches the instance; not where this command does. */
  readonly url: string | undefined;
  readonly scopes: string | undefined;
  readonly qr: boolean;
  readonly wait: boolean;
  readonly noWait: boolean;
}

/** The end that lets the device in. With `-o json` the code is the result, and `--wait` says the rest by the exit status. */
export async function pairDevice(ctx: Context, options: PairOptions): Promise<void> {
  const { device, url, scopes, qr, wait, noWait } = options;
  const client = connect(ctx, { url: undefined });
  const started = await client.startPairing({
    device,
    ...(url !== undefined && { url }),
    ...(scopes !== undefined && { scopes: scopes.split(",").map((scope) => scope.trim()) }),
  });
  const onTerminal = ctx.output === "text" && ctx.width !== null;
  const picture = onTerminal && qr ? await picturedLink(ctx, started) : "";
  await printResult(ctx, started, () => codeText(started) + picture);
  if (ctx.output === "text") for (const note of linkNotes(started.link)) await ctx.err.line(note);
  if (noWait || !(wait || onTerminal)) return;
  await ctx.out.flush();
  await waitForDevice(ctx, client, started);
}

function codeText({ device, code, link, scopes, expires_at }: PairingCode): string {
  const facts = renderFacts([
    ["code", code],
    ["link", link],
    ["scopes", scopes.join(" ")],
    ["expires", `in ${PAIRING_MS / 60_000} minutes (${expires_at})`],
  ]);
  return `✓ A code for ${safeText(device)}, to be used once\n${facts}`;
}

async function picturedLink(ctx: Context, { link }: PairingCode): Promise<string> {
  const { qrWidth, renderQr } = await import("../lib/ui/qr.ts");
  return qrWidth(link) > (ctx.width ?? 0) ? "" : `\n${renderQr(link, wantsColour(1, ctx.env))}\n`;
}

function* linkNotes(link: string): Generator<string> {
  const { protocol, hostname } = new URL(link);
  if (isLoopback(hostname) || hostname === "0.0.0.0" || hostname === "[::]") {
    yield "the link leads to this machine only; pass --url with the address that the device reaches";
  } else if (protocol === "http:") {
    yield "the link is plain http: who listens on the way can take the device's token; use https where you can";
  }
}

/** Resolves at the device's first call. @throws SplError pairing_spent, pairing_refused, not_found */
async function waitForDevice(ctx: Context, client: InstanceClient, started: PairingCode): Promise<void> {
  // By this machine's clock, whatever the instance's says.
  let deadline = ctx.clock() + PAIRING_MS;
  let phrase: string | null = null;
  for (;;) {
    const { state, nonce } = await within(ctx, started, () => client.pairing(started.id));
    if (nonce !== null && phrase === null) {
      phrase = await phraseOf(started, nonce);
      deadline = ctx.clock() + FIRST_CALL_MS;
      await ctx.progress.clear();
      await say(ctx, `  phrase:  ${phrase} (the same words must show on the device)\n`);
    }
    if (state === "connected") return say(ctx, `✓ ${safeText(started.device)} is connected\n`);
    if ((state !== "waiting" && state !== "redeemed") || ctx.clock() >= deadline) {
      throw failure(state, started.device);
    }
    const left = Math.max(0, Math.ceil((deadline - ctx.clock()) / 1000));
    const clock = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    ctx.progress.update(`waiting for ${started.device}, ${clock} left; Ctrl-C leaves the code valid`);
    await within(ctx, started, () => pause(POLL_MS, undefined, { signal: ctx.signal }));
  }
}

/** Ctrl-C ends the wait and not the code, and says so. */
async function within<T>(ctx: Context, { device }: PairingCode, step: () => Promise<T>): Promise<T> {
  try {
    ctx.signal.throwIfAborted();
    return await step();
  } catch (error) {
    if (ctx.signal.aborted) {
      await ctx.progress.clear();
      await ctx.err.line(
        `the code stays valid until it expires; spl device list shows ${safeText(device)} when it has used it`,
      );
    }
    throw error;
  }
}

async function phraseOf({ code }: PairingCode, nonce: string): Promise<string> {
  const { pairingPhrase } = await import("../lib/pairing/phrase.ts");
  return pairingPhrase(code, nonce, sha256);
}

function say(ctx: Context, text: string): Promise<void> {
  return ctx.output === "text" ? ctx.out.write(text) : Promise.resolve();
}

function failure(state: Pairing["state"], device: string): SplError {
  const hint = "spl pair --device NAME makes another code";
  if (state === "refused") {
    return new SplError("pairing_refused", "five wrong codes were tried: this code is void", { hint });
  }
  if (state === "revoked") return new SplError("pairing_spent", `${device} was revoked meanwhile`, { hint });
  if (state === "redeemed") {
    return new SplError("pairing_spent", `${device} used the code, but has not called since`, {
      hint: "spl device list shows when it does; spl device revoke NAME ends it",
    });
  }
  return new SplError("pairing_spent", "the code has expired, and nobody used it", { hint });
}
