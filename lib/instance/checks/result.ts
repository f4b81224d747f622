import { fileError, SplError } from "../../base/errors.ts";
import type { HomePaths } from "../../base/home.ts";
import type { Instance } from "../instance.ts";
import type { DoctorRow } from "../types.ts";

/** What a check found; its row without its name. */
export type Result = Omit<DoctorRow, "check">;

/** A check of the home alone: the instance may not open. */
export interface HomeCheck {
  name: string;
  run(paths: HomePaths): Result;
}

/** A check of an open instance. What it throws is a failed row. */
export interface InstanceCheck {
  name: string;
  run(instance: Instance): Promise<Result>;
}

export const pass = (detail: string): Result => ({ result: "pass", detail, fix: null });
export const warn = (detail: string, fix: string | null): Result => ({ result: "warn", detail, fix });
export const fail = (detail: string, fix: string | null): Result => ({ result: "fail", detail, fix });

/** What was thrown, as a failed row. */
export function failure(error: unknown): Result {
  const { path } = error as { path?: unknown };
  const told = typeof path === "string" ? fileError(error, "read", path) : error;
  if (told instanceof SplError) return fail(told.message, told.hint ?? null);
  return fail(told instanceof Error ? told.message : String(told), null);
}
