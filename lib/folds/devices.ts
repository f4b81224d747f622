import { MAX_LABEL } from "../base/limits.ts";
import type { JsonObject } from "../record/types.ts";
import type { FoldInput } from "./input.ts";
import { text } from "./threads.ts";

/** Scopes or actors of one device that a fold keeps; of more, none count. */
const MAX_LIST = 64;

export interface DeviceTerms {
  /** What the device is called. */
  device: string;
  scopes: string[];
  /** Actors it may speak for; none means any. */
  actors: string[];
}

export interface DeviceEntry extends DeviceTerms {
  /** Id of the record that began the pairing. */
  id: string;
  revoked: boolean;
}

/**
 * Devices from `th_devices`: `LEARN {topic: "device", device, scopes, actors?}` begins a pairing, the last one of a
 * name counts; `LEARN {topic: "device-revoked", device}` ends it. A revocation covers everything of that name up to
 * its own clock, so that no older record, whenever it arrives, brings a device back.
 */
export class DeviceFold {
  readonly #devices = new Map<string, DeviceTerms & { id: string; clock: number }>();
  readonly #revoked = new Map<string, number>();

  add({ entry, act, body }: FoldInput): void {
    if (act !== "LEARN") return;
    const topic = text(body, "topic");
    const terms = readTerms(body);
    if (topic === "device" && terms) {
      this.#devices.set(terms.device, { ...terms, id: entry.id, clock: entry.clock });
    } else if (topic === "device-revoked") {
      const device = text(body, "device", MAX_LABEL);
      if (device !== null) this.#revoked.set(device, Math.max(entry.clock, this.#revoked.get(device) ?? 0));
    }
  }

  /** Whether a pairing of that name that began at this clock has been revoked. */
  isRevoked(device: string, clock: number): boolean {
    return clock <= (this.#revoked.get(device) ?? -1);
  }

  /** In the order in which their names first appeared. */
  all(): DeviceEntry[] {
    return [...this.#devices.values()].map(({ clock, ...entry }) => ({
      ...entry,
      revoked: this.isRevoked(entry.device, clock),
    }));
  }
}

/** What a pairing record says of its device, or null when it is none. */
export function readTerms(body: JsonObject): DeviceTerms | null {
  const device = text(body, "device", MAX_LABEL);
  const scopes = labels(body, "scopes");
  const actors = labels(body, "actors");
  return device === null || scopes === null ? null : { device, scopes, actors: actors ?? [] };
}

function labels(body: JsonObject, field: string): string[] | null {
  const list = Object.hasOwn(body, field) ? body[field] : null;
  if (!Array.isArray(list) || list.length > MAX_LIST) return null;
  return list.every((each) => typeof each === "string" && each.length <= MAX_LABEL)
    ? (list as string[])
    : null;
}
