import Ajv, { type ValidateFunction } from "ajv";
import description from "../../fixtures/fly/machines_api.json";

/** Holds requests and answers against Fly's description of its API (`fixtures/fly`). */

interface Parameter {
  name: string;
  in: string;
  required?: boolean;
  schema: { type: string; enum?: string[] };
}

interface Operation {
  operationId: string;
  parameters?: Parameter[];
  requestBody?: { required: boolean; content: Record<string, { schema: object }> };
  responses: Record<string, { content?: Record<string, { schema: object }> }>;
}

export interface Found {
  operation: Operation;
  params: Record<string, string>;
}

const JSON_TYPE = "application/json";
const ajv = new Ajv({ allErrors: true, strict: false });
ajv.addSchema({ $id: "fly", ...closed(description) });
const validators = new Map<string, ValidateFunction>();

/** What has named properties has no others, so that a misspelt one is found. */
function closed<T>(value: T): T {
  if (Array.isArray(value)) return value.map(closed) as T;
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, inner]) => [key, closed(inner)]);
  const copy = Object.fromEntries(entries);
  return copy.type === "object" && copy.properties ? { ...copy, additionalProperties: false } : copy;
}

/** The operation that the method and path name, or null. */
export function findOperation(method: string, pathname: string): Found | null {
  for (const [template, methods] of Object.entries(description.paths)) {
    const names = [...template.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!);
    const match = new RegExp(`^${template.replace(/\{\w+\}/g, "([^/]+)")}$`).exec(pathname);
    const operation = (methods as Record<string, Operation>)[method.toLowerCase()];
    if (!match || !operation) continue;
    const values = match.slice(1).map(decodeURIComponent);
    return { operation, params: Object.fromEntries(names.map((name, i) => [name, values[i]!])) };
  }
  return null;
}

/** What of the request does not fit its operation; empty if all of it does. */
export function faultsOf(
  { parameters = [], requestBody }: Operation,
  request: Request,
  query: URLSearchParams,
  body: unknown,
): string[] {
  const faults: string[] = [];
  for (const [name, text] of query) {
    const schema = parameters.find((each) => each.in === "query" && each.name === name)?.schema;
    if (schema === undefined || query.getAll(name).length > 1) faults.push(`query ${name} is not described`);
    else if (!fits(schema, text)) faults.push(`query ${name}=${text} is no ${schema.type}`);
  }
  for (const { name, required } of parameters.filter((each) => each.in === "header"))
    if (required && !request.headers.has(name)) faults.push(`header ${name} is missing`);
  for (const [name] of request.headers)
    if (name.startsWith("fly-") && !parameters.some((each) => each.in === "header" && each.name === name))
      faults.push(`header ${name} is not described`);
  if (body === undefined) return requestBody?.required ? [...faults, "the body is missing"] : faults;
  if (requestBody === undefined) return [...faults, "a body is not described"];
  if (request.headers.get("content-type") !== JSON_TYPE) faults.push("the body is not called JSON");
  return [...faults, ...misfits(requestBody.content[JSON_TYPE]!.schema, body)];
}

/** What of an answer of success does not fit. */
export function answerFaults({ responses }: Operation, status: number, value: unknown): string[] {
  const described = responses[status];
  if (described === undefined) return [`status ${status} is not described`];
  const schema = described.content?.[JSON_TYPE]?.schema;
  return schema === undefined ? [] : misfits(schema, value);
}

function fits({ type, enum: values }: Parameter["schema"], text: string): boolean {
  if (type === "integer") return /^\d+$/.test(text);
  if (type === "boolean") return text === "true" || text === "false";
  return values?.includes(text) ?? text !== "";
}

function misfits(schema: object, value: unknown): string[] {
  const key = JSON.stringify(schema).replaceAll('"#/', '"fly#/');
  let validate = validators.get(key);
  if (!validate) {
    validate = ajv.compile(JSON.parse(key) as object);
    validators.set(key, validate);
  }
  if (validate(value)) return [];
  return validate.errors!.map(
    ({ instancePath, message, params }) => `${instancePath || "body"} ${message} ${JSON.stringify(params)}`,
  );
}
