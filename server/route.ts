import { z } from "zod";
import type { Scope } from "../lib/instance/scopes.ts";
import type { AppContext } from "./context.ts";
import type { Peer } from "./stages/peer.ts";
import type { Grant } from "./stages/scope.ts";

/** One request on its way through a route, after the stages before it have let it pass. */
export interface Call<Query = unknown> {
  ctx: AppContext;
  request: Request;
  url: URL;
  route: Route;
  /** Decoded path parameters. */
  params: Record<string, string>;
  query: Query;
  grant: Grant;
  peer: Peer;
  /** Whom the request claims to speak for, when the caller may. */
  actor: string | null;
  /** Headers that the answer gets, a refusal as well. */
  answerHeaders: Headers;
  /** The media type of the answer: one that the route offers, the first unless the client prefers another. */
  answerType: string;
}

/** A schema for documentation and tests, or null for a body that no JSON Schema describes. */
export type Shape = z.ZodType | null;

interface RouteFacts {
  method: "GET" | "POST" | "PUT" | "DELETE";
  /** `/v1/threads/:thread` */
  path: string;
  summary: string;
  /** What a token must allow; `any` for whoever is signed in, be it by a bootstrap token; null for the public routes. */
  scope: Scope | "any" | null;
  /** Another scope that does as well: who manages something may see it. */
  alternative?: Scope;
  /** A token for single threads may pass as well; the handler must check which thread it is. */
  grain?: "read" | "write";
  /** Media types that the request's body may have, each with its largest size in bytes (null: streamed, any). */
  bodies?: Record<string, { limit: number | null; shape: Shape }>;
  /** Answers by status and media type. The first media type of the lowest status is the default. */
  answers: Record<number, Record<string, Shape>>;
  /** May be silent for longer than the server's idle time. */
  patient?: boolean;
}

export interface Route extends RouteFacts {
  query: z.ZodObject;
  handle(call: Call): Response | Promise<Response>;
}

interface RouteDefinition<Query extends z.ZodObject> extends RouteFacts {
  query?: Query;
  handle(call: Call<z.output<Query>>): Response | Promise<Response>;
}

const NO_QUERY = z.strictObject({});

/** Ties the type of `call.query` to the route's schema. */
export function route<Query extends z.ZodObject = typeof NO_QUERY>(
  definition: RouteDefinition<Query>,
): Route {
  return { ...definition, query: definition.query ?? NO_QUERY } as Route;
}
