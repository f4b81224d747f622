import { z } from "zod";
import { PROBLEM_TYPE } from "../lib/api/media.ts";
import * as schemas from "../lib/api/schemas.ts";
import { VERSION } from "../lib/base/version.ts";
import type { Route, Shape } from "./route.ts";
import { ROUTES } from "./routes/index.ts";

type Json = Record<string, unknown>;

/** The OpenAPI 3.1 document (spec.openapis.org/oas/v3.1.1), made of the route tables and nothing else. */
export function openapi(): Json {
  const paths: Record<string, Json> = {};
  for (const route of ROUTES) {
    const path = route.path.replace(/:(\w+)/g, "{$1}");
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route) };
  }
  return {
    openapi: "3.1.1",
    info: { title: "spl", version: VERSION, license: { name: "MIT", identifier: "MIT" } },
    paths,
    components: {
      schemas: components(),
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
    },
  };
}

function operation(route: Route): Json {
  const problem = { description: "what went wrong", content: { [PROBLEM_TYPE]: { schema: ref("Problem") } } };
  return {
    summary: route.summary,
    security: security(route),
    parameters: [...pathParameters(route), ...queryParameters(route)],
    ...(route.bodies ? { requestBody: { required: true, content: contentOf(bodyShapes(route)) } } : {}),
    responses: {
      ...Object.fromEntries(
        Object.entries(route.answers).map(([status, shapes]) => [
          status,
          { description: route.summary, content: contentOf(shapes) },
        ]),
      ),
      default: problem,
    },
  };
}

/** Any one of these is enough. */
function security({ scope, alternative }: Route): Json[] {
  if (scope === null) return [];
  const asked = { token: scope === "any" ? [] : [scope] };
  return alternative === undefined ? [asked] : [asked, { token: [alternative] }];
}

function pathParameters({ path }: Route): Json[] {
  return [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
}

function queryParameters({ query }: Route): Json[] {
  const { properties = {} } = z.toJSONSchema(query, { io: "input" });
  return Object.entries(properties).map(([name, schema]) => ({ name, in: "query", required: false, schema }));
}

function bodyShapes({ bodies = {} }: Route): Record<string, Shape> {
  return Object.fromEntries(Object.entries(bodies).map(([type, { shape }]) => [type, shape]));
}

function contentOf(shapes: Record<string, Shape>): Json {
  return Object.fromEntries(
    Object.entries(shapes).map(([type, shape]) => [type, shape === null ? {} : { schema: schemaOf(shape) }]),
  );
}

/** Schemas with an id are referred to; what is built around them (pages, unions) stands in its place. */
function schemaOf(shape: z.ZodType): Json {
  const { $schema: _, $defs: __, ...schema } = z.toJSONSchema(shape, { io: "input" });
  return rewriteRefs(schema) as Json;
}

function components(): Json {
  const all: Json = {};
  for (const schema of Object.values(schemas)) {
    if (!(schema instanceof z.ZodType)) continue;
    const { $schema: _, $defs = {}, $ref: __, ...own } = z.toJSONSchema(schema, { io: "input" });
    const id = schema.meta()?.id;
    if (id === undefined) continue;
    const { id: ___, ...body } = (($defs as Record<string, Json>)[id] ?? own) as Json;
    all[id] = rewriteRefs(body);
  }
  return all;
}

function ref(id: string): Json {
  return { $ref: `#/components/schemas/${id}` };
}

function rewriteRefs(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value).replaceAll('"$ref":"#/$defs/', '"$ref":"#/components/schemas/'));
}
