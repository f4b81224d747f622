import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type CallOptions, emission, TestApp } from "./app.ts";

/** One request and what it is answered; also what the answer must not hold. */
export interface Scenario extends Omit<CallOptions, "token"> {
  name: string;
  path: string;
  /** Who calls over TCP with a token; without one, the request comes over the Unix socket. */
  as?: keyof typeof CALLERS;
  status: number;
  /** The problem's code. */
  code?: string;
  holds?: string[];
  lacks?: string[];
  answerHeaders?: Record<string, string>;
}

/** The thread that the grains are for; there is also `th_beta`. */
export const THREAD = "th_alpha";

const CALLERS = {
  reader: { scopes: ["records:read"], actors: [] },
  writer: { scopes: ["records:write"], actors: [] },
  admin: { scopes: ["admin"], actors: [] },
  alphaReader: { scopes: [`thread:${THREAD}:read`], actors: [] },
  alphaWriter: { scopes: [`thread:${THREAD}:write`], actors: [] },
  bob: { scopes: ["records:write"], actors: ["did:sync:user:bob"] },
};

/** Declares a test for each scenario. They share one instance with a record in `th_alpha` and one in `th_beta`. */
export function scenarios(group: string, list: Scenario[]): void {
  describe(group, () => {
    let app: TestApp;
    const tokens = new Map<string, string>();
    beforeAll(async () => {
      app = await TestApp.open();
      await app.call("/v1/records", { json: emission(THREAD, "first") });
      await app.call("/v1/records", { json: emission("th_beta", "secret of beta") });
      for (const [name, { scopes, actors }] of Object.entries(CALLERS)) {
        tokens.set(name, await app.token(scopes, actors));
      }
    });
    afterAll(() => app[Symbol.asyncDispose]());

    for (const {
      name,
      path,
      as,
      status,
      code,
      holds = [],
      lacks = [],
      answerHeaders = {},
      ...options
    } of list) {
      test(name, async () => {
        const response = await app.call(path, { ...options, ...(as ? { token: tokens.get(as)! } : {}) });
        const text = await response.text();
        expect({ status: response.status, text }).toEqual({ status, text: expect.any(String) });
        if (code !== undefined) {
          expect(response.headers.get("content-type")).toBe("application/problem+json");
          expect(JSON.parse(text)).toMatchObject({ code, status, type: `urn:syncropel:problem:${code}` });
        }
        for (const part of holds) expect(text).toContain(part);
        for (const part of lacks) expect(text).not.toContain(part);
        for (const [header, value] of Object.entries(answerHeaders)) {
          expect(response.headers.get(header)).toBe(value);
        }
      });
    }
  });
}
