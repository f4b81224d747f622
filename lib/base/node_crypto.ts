let loaded: typeof import("node:crypto") | undefined;

/** Loading takes milliseconds, and most commands neither sign, verify nor seal. */
export function nodeCrypto(): typeof import("node:crypto") {
  loaded ??= process.getBuiltinModule("node:crypto");
  return loaded;
}
