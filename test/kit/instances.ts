import { emit } from "../../lib/instance/emit.ts";
import { exportBundle } from "../../lib/instance/export.ts";
import { type ImportPorts, importBundle } from "../../lib/instance/import.ts";
import { Instance, initInstance } from "../../lib/instance/instance.ts";
import type { ExportOptions, ImportOptions, ImportSummary } from "../../lib/instance/types.ts";
import type { Emission } from "../../lib/record/shape.ts";
import type { ScratchFolder } from "./store.ts";

export const ALICE = "did:sync:user:alice";

export async function newInstance(folder: ScratchFolder, name: string): Promise<Instance> {
  const home = folder.file(name);
  await initInstance(home);
  return Instance.open(home);
}

/** An emission as `parseEmission` would hand it over. */
export function emission(fields: Partial<Emission> = {}): Emission {
  return { thread: "th_a", act: "DO", body: {}, data_type: "SCALAR", judged_by: null, ...fields };
}

/** Emits `n` records over three threads. */
export async function fill(instance: Instance, n: number): Promise<void> {
  const emissions = Array.from({ length: n }, (_, i) =>
    emission({ thread: `th_${i % 3}`, body: { text: `record ${i} é 漢 😀` } }),
  );
  await emit(instance, emissions, { actor: ALICE });
}

export async function exported(home: string, options: Partial<ExportOptions> = {}): Promise<Uint8Array> {
  const bundle = await exportBundle(home, {
    compression: "zst",
    identity: "included",
    carryTokens: false,
    ...options,
  });
  try {
    return Buffer.concat(await Array.fromAsync(bundle.chunks));
  } finally {
    await bundle.close();
  }
}

export const IMPORT_DEFAULTS: ImportOptions = {
  dryRun: false,
  forceOverwrite: false,
  keepIdentity: false,
  expectDid: null,
  deep: false,
};

export function imported(
  home: string,
  bundle: Uint8Array,
  options: Partial<ImportOptions> = {},
  ports: ImportPorts = {},
): Promise<ImportSummary> {
  return importBundle(home, inPieces(bundle), { ...IMPORT_DEFAULTS, ...options }, ports);
}

/** Bytes as they arrive over a socket. */
export async function* inPieces(bytes: Uint8Array, size = 10_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
