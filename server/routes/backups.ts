import { z } from "zod";
import { JSON_TYPE } from "../../lib/api/media.ts";
import { Backup } from "../../lib/api/schemas.ts";
import { json } from "../answer.ts";
import { type Route, route } from "../route.ts";

export const backupRoutes: Route[] = [
  route({
    method: "GET",
    path: "/v1/backups",
    summary: "Backups of this instance that its machine knows of, newest first",
    scope: "admin",
    answers: { 200: { [JSON_TYPE]: z.array(Backup) } },
    async handle({ ctx }) {
      const { knownBackups } = await import("../../lib/backup/known.ts");
      const { instance, env } = ctx;
      const { did } = await instance.store.read((reader) => instance.signer(reader));
      return json(await knownBackups(env, did));
    },
  }),
];
