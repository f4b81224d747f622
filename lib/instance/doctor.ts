import { homePaths } from "../base/home.ts";
import { SCHEMA_VERSION } from "../store/schema.ts";
import { clock } from "./checks/clock.ts";
import { disk, permissions } from "./checks/home.ts";
import { identity, steward } from "./checks/identity.ts";
import { peers } from "./checks/peers.ts";
import { forks, integrity, noRebuild, rebuild, records, schema } from "./checks/records.ts";
import { failure, type HomeCheck, type InstanceCheck, type Result } from "./checks/result.ts";
import { tokens } from "./checks/tokens.ts";
import { Instance, type Ports } from "./instance.ts";
import type { DoctorRow } from "./types.ts";

/**
 * A row of what is known outside the home.
 * @param did whose; null for any instance, where the home does not open
 * @param since Unix milliseconds: when the identity came to this home; null where the home does not open
 */
export type OutsideCheck = (did: string | null, since: number | null) => Result | Promise<Result>;

export interface DoctorOptions {
  /** Recompute counts, digest and heads from the records. */
  rebuild: boolean;
  /** Hash every record and check every signature. */
  deep: boolean;
  /** Where the home's daemon is reached; null where none runs. */
  url?: string | null;
  /** Further rows by name, behind the others. */
  outside?: Readonly<Record<string, OutsideCheck>>;
  ports?: Partial<Ports>;
}

const HOME_CHECKS: readonly HomeCheck[] = [permissions, disk];

/** In the order of their rows. To add a check, write its file and name it here. */
function instanceChecks({ store }: Instance, options: DoctorOptions): InstanceCheck[] {
  if (store.schema < SCHEMA_VERSION)
    return [integrity, schema, ...(options.rebuild ? [noRebuild] : []), identity];
  return [
    integrity,
    ...(options.rebuild ? [rebuild] : []),
    records(options.deep),
    forks,
    identity,
    steward(options.url ?? null),
    clock,
    tokens,
    peers,
  ];
}

/**
 * Examines a home on its own, with or without its daemon. A check that cannot run is a failed row, so the
 * report is always whole. Nothing is changed unless it is to be rebuilt.
 */
export async function* examine(home: string, options: DoctorOptions): AsyncGenerator<DoctorRow> {
  const paths = homePaths(home);
  const outside = Object.entries(options.outside ?? {});
  for (const { name, run } of HOME_CHECKS) yield await row(name, () => run(paths));
  let instance: Instance;
  try {
    instance = await Instance.open(home, options.ports, { keepsSchema: true });
  } catch (error) {
    yield { check: "open", ...failure(error) };
    for (const [name, run] of outside) yield await row(name, () => run(null, null));
    return;
  }
  try {
    for (const { name, run } of instanceChecks(instance, options)) yield await row(name, () => run(instance));
    for (const [name, run] of outside) {
      yield await row(name, async () => {
        const { did, epoch } = await instance.store.read((reader) => instance.signer(reader));
        return run(did, epoch);
      });
    }
  } finally {
    await instance.close();
  }
}

async function row(check: string, run: () => Result | Promise<Result>): Promise<DoctorRow> {
  try {
    return { check, ...(await run()) };
  } catch (error) {
    return { check, ...failure(error) };
  }
}
