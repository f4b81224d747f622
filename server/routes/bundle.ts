import { z } from "zod";
import {
  BUNDLE_TYPE,
  HTML_TYPE,
  JSON_TYPE,
  MANIFEST_HEADER,
  NDJSON_TYPE,
  SCRIPT_TYPE,
} from "../../lib/api/media.ts";
import { toProblem } from "../../lib/api/problem.ts";
import { ImportEvent, ImportSummary as ImportSummaryShape } from "../../lib/api/schemas.ts";
import { toBase64Url } from "../../lib/base/bytes.ts";
import { SplError } from "../../lib/base/errors.ts";
import { rollbackCopies } from "../../lib/base/home.ts";
import { requireActive } from "../../lib/instance/steward.ts";
import type { ImportSummary } from "../../lib/instance/types.ts";
import { canonicalBytes } from "../../lib/record/canonical.ts";
import { json, ndjson, streamed } from "../answer.ts";
import type { ImportJob } from "../bundle_jobs.ts";
import type { AppContext } from "../context.ts";
import { type Route, route } from "../route.ts";
import { bodyChunks } from "../stages/body.ts";
import { flag } from "../stages/query.ts";

export const bundleRoutes: Route[] = [
  route({
    method: "GET",
    path: "/v1/export",
    summary:
      "The whole instance as one bundle; its manifest is in the header Spl-Manifest (base64url of the JSON)",
    scope: "records:read",
    patient: true,
    query: z.strictObject({
      compression: z.enum(["zst", "gz", "none"]).default("zst"),
      identity: z
        .enum(["included", "none", "only"])
        .default("included")
        .describe("a bundle with the private key needs admin"),
      carry_tokens: flag.describe("with the hashes of bearer tokens; needs admin"),
    }),
    answers: { 200: { [BUNDLE_TYPE]: null } },
    async handle(call) {
      const { ctx, query, grant } = call;
      const { compression, identity, carry_tokens: carryTokens } = query;
      if (identity !== "none" || carryTokens) grant.require("admin");
      const { manifest, chunks } = await ctx.jobs.startExport({
        compression,
        identity,
        carryTokens,
        by: grant.account,
      });
      ctx.log("export", { account: grant.account, records: manifest.record_count, identity });
      return streamed(call, chunks, {
        "content-type": BUNDLE_TYPE,
        [MANIFEST_HEADER]: toBase64Url(canonicalBytes({ ...manifest })),
      });
    },
  }),
  route({
    method: "POST",
    path: "/v1/import",
    summary:
      "Makes this instance be the one in the bundle; as NDJSON the answer begins when the bundle is verified",
    scope: "admin",
    patient: true,
    query: z.strictObject({
      dry_run: flag.describe("verify everything, write nothing"),
      force_overwrite: flag.describe("unite with the records that are here"),
      keep_identity: flag.describe("take the records only"),
      expect_did: z.string().optional().describe("refuse the bundle of anyone else"),
      deep: flag.describe("check every signature one by one"),
      no_auto_rollback: flag.describe(
        "keep the import although the instance does not come up right behind it",
      ),
    }),
    bodies: { [BUNDLE_TYPE]: { limit: null, shape: null } },
    answers: { 200: { [JSON_TYPE]: ImportSummaryShape, [NDJSON_TYPE]: ImportEvent } },
    async handle(call) {
      const { ctx, query, answerType, grant } = call;
      const options = {
        dryRun: query.dry_run,
        forceOverwrite: query.force_overwrite,
        keepIdentity: query.keep_identity,
        expectDid: query.expect_did ?? null,
        deep: query.deep,
        autoRollback: !query.no_auto_rollback,
        copies: rollbackCopies(ctx.env),
        by: grant.account,
      };
      const job = await ctx.jobs.startImport(bodyChunks(call), options, (adoption) =>
        ctx.steward.lookUp(adoption),
      );
      const imported = job.imported.then((summary) => settle(ctx, summary));
      imported.catch(() => undefined);
      if (answerType !== NDJSON_TYPE) return json(await imported);
      // What is refused before this point has its own status; from here on a failure is an event.
      await job.verified;
      return ndjson(call, importEvents(ctx, { ...job, imported }));
    },
  }),
  route({
    method: "GET",
    path: "/bundle",
    summary: "A page that verifies a bundle in the browser, without an upload",
    scope: null,
    answers: { 200: { [HTML_TYPE]: null } },
    async handle() {
      const { bundlePage } = await import("../pages/bundle_page.ts");
      return bundlePage();
    },
  }),
  route({
    method: "GET",
    path: "/bundle/worker.js",
    summary: "The script with which that page reads a bundle",
    scope: null,
    answers: { 200: { [SCRIPT_TYPE]: null } },
    async handle() {
      const { bundleWorker } = await import("../pages/bundle_worker.ts");
      return bundleWorker();
    },
  }),
];

/** What is left to do once the records are in. */
async function settle(ctx: AppContext, summary: ImportSummary): Promise<ImportSummary> {
  ctx.changes.announce();
  if (summary.identity !== "adopted" || summary.dry_run) return summary;
  await ctx.steward.adopted();
  return { ...summary, problem: summary.problem ?? (await lost(ctx)) };
}

/** Why the identity that was just adopted cannot be used here, in one line; null where it can. */
async function lost({ instance }: AppContext): Promise<string | null> {
  try {
    await instance.store.read(async (reader) => requireActive(reader, await instance.signer(reader)));
    return null;
  } catch (error) {
    // The import is done. Where the instance is being stopped meanwhile, its next start tells.
    return error instanceof SplError && error.code === "superseded" ? error.message : null;
  }
}

async function* importEvents(ctx: AppContext, { verified, imported }: ImportJob): AsyncGenerator<string> {
  yield `${JSON.stringify({ event: "verified", ...(await verified) })}\n`;
  try {
    const summary = await imported;
    ctx.log("import", { inserted: summary.inserted, identity: summary.identity });
    yield `${JSON.stringify({ event: "imported", ...summary })}\n`;
  } catch (error) {
    yield `${JSON.stringify({ event: "problem", problem: toProblem(error) })}\n`;
  }
}
