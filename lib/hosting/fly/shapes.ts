import { z } from "zod";
import { SplError } from "../../base/errors.ts";

/** What the driver reads of Fly's answers; there is more in them. */

export const App = z.object({ name: z.string(), organization: z.object({ slug: z.string() }).optional() });

export const Ips = z.object({
  ips: z.array(z.object({ ip: z.string().nullable(), shared: z.boolean().optional() })).nullable(),
});

export const Certificates = z.object({
  certificates: z.array(z.object({ hostname: z.string() })).nullable(),
});

export const Volume = z.object({
  id: z.string(),
  name: z.string(),
  region: z.string(),
  state: z.string(),
  created_at: z.string().optional(),
  attached_machine_id: z.string().nullish(),
});
export type Volume = z.output<typeof Volume>;
export const Volumes = z.array(Volume).nullable();

export const FlyMachine = z.object({
  id: z.string(),
  name: z.string(),
  state: z.string(),
  /** The version of its configuration; changes with every update. Also told under its older name. */
  version: z.string().optional(),
  instance_id: z.string().optional(),
  nonce: z.string().optional(),
  cordoned: z.boolean().optional(),
  host_status: z.string().optional(),
  config: z.record(z.string(), z.json()).optional(),
  checks: z.array(z.object({ name: z.string(), status: z.string().optional() })).nullish(),
});
export type FlyMachine = z.output<typeof FlyMachine>;
export const FlyMachines = z.array(FlyMachine).nullable();

/** The lease itself, as the description has it, or in an envelope, as some answers have it. */
const Nonce = z.object({ nonce: z.string() });
export const Lease = z.union([Nonce, z.object({ data: Nonce }).transform(({ data }) => data)]);

/** @throws SplError hosting_unavailable */
export function read<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const at = result.error.issues[0]!.path.join(".");
  throw new SplError(
    "hosting_unavailable",
    `Fly's answer is not of the form that it describes (${at || "all of it"})`,
    {
      hint: "ask the operator; a newer release may know it",
    },
  );
}
