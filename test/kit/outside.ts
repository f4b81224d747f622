import { ZstdCodec } from "zstd-codec";

/** Programs and libraries that know nothing of this project, as judges of its files. */

/**
 * Runs a program to its end and gives its standard output.
 * @throws Error when it fails or says anything on stderr
 */
export function outside(command: string[], options: { cwd?: string; stdin?: Uint8Array } = {}): Buffer {
  const { cwd, stdin } = options;
  const done = Bun.spawnSync(command, {
    ...(cwd && { cwd }),
    ...(stdin && { stdin }),
    env: { ...Bun.env, LC_ALL: "C" },
  });
  if (done.success && done.stderr.length === 0) return done.stdout;
  throw new Error(`${command.join(" ")}: exit ${done.exitCode}: ${done.stderr}`);
}

/** Programs that list a tar with `-tf`: GNU tar, and bsdtar where it is installed. */
export const TAR_PROGRAMS = ["tar", "bsdtar"].filter((name) => name === "tar" || Bun.which(name) !== null);

/** The decoder of the reference implementation, compiled to WebAssembly. It takes one frame at a time. */
export async function zstdCodec(): Promise<(frame: Uint8Array) => Uint8Array> {
  const codec = await new Promise<Parameters<Parameters<typeof ZstdCodec.run>[0]>[0]>(ZstdCodec.run);
  const simple = new codec.Simple();
  return (frame) => {
    const plain = simple.decompress(frame);
    if (plain === null) throw new Error("zstd-codec refuses the frame");
    return plain;
  };
}
