import { SplError } from "../lib/base/errors.ts";
import { defineSpl, runAlone } from "./_kit.ts";

const command = defineSpl({
  name: "pair",
  summary: "Let another device in by a one-time code, or let this machine in elsewhere",
  description:
    "With --device, the instance makes a code that lives ten minutes and works once. It is redeemed by opening the\nlink, or by spl pair --accept on another machine. Both ends then show the same words.\nDefault scopes by the name's beginning: viewer- reads, emitter- writes, browser- reads, writes and reads the\nsettings; anything else reads and writes.",
  args: {
    device: { type: "string", valueHint: "NAME", description: "pair a device of this name" },
    url: {
      type: "string",
      valueHint: "URL",
      description: "with --device: where the device reaches the instance; with a bare code: where it is from",
    },
    scopes: {
      type: "string",
      valueHint: "A,B",
      description: "what the device may do (else by its name's beginning)",
    },
    qr: { type: "boolean", default: true, description: "leave out the QR code" },
    wait: { type: "boolean", description: "wait for the device; on a terminal that is so anyway" },
    noWait: { type: "boolean", description: "end once the code is shown" },
    accept: { type: "string", valueHint: "LINK|CODE", description: "redeem a code on this machine" },
  },
  examples: [
    `spl pair --device "iPhone" --url https://myteam.syncropel.com:9100 --scopes records:write`,
    "spl pair --device browser-office",
    "spl pair --accept 'https://myteam.syncropel.com:9100/pair#7KMP-2XQ9-T4VD'",
    "spl pair --accept 7KMP-2XQ9-T4VD --url https://myteam.syncropel.com:9100",
  ],
  run: async (ctx, { device, accept, ...rest }) => {
    if (device !== undefined && accept !== undefined) {
      throw new SplError("usage", "--device and --accept are two ends of one pairing", {
        hint: "type one here and the other on the other machine",
      });
    }
    if (accept !== undefined) {
      const wrong =
        rest.scopes !== undefined ? "--scopes" : rest.wait ? "--wait" : rest.noWait ? "--no-wait" : null;
      if (wrong !== null)
        throw new SplError("usage", `${wrong} goes with --device`, { hint: "leave it out" });
      return (await import("./_pair_accept.ts")).acceptPairing(ctx, accept, rest.url);
    }
    if (device === undefined) {
      throw new SplError("usage", "whom to pair is missing", {
        hint: "type spl pair --device NAME, or spl pair --accept LINK on the device",
      });
    }
    if (rest.wait && rest.noWait) {
      throw new SplError("usage", "--wait and --no-wait exclude each other", { hint: "leave out one" });
    }
    return (await import("./_pair_device.ts")).pairDevice(ctx, { device, ...rest });
  },
});

export default command;
if (import.meta.main) await runAlone(command);
