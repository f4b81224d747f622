import { describe, expect, test } from "bun:test";
import { type Caller, parseActors, parseScopes, requireWithin } from "../../../lib/instance/scopes.ts";

const ALICE = "did:sync:user:alice";
const BOB = "did:sync:user:bob";

describe("reading", () => {
  test("scopes and grains are sorted, each once", () => {
    const scopes = ["thread:th_a:read", "records:write", "admin", "records:write"];
    expect(parseScopes(scopes)).toEqual(["admin", "records:write", "thread:th_a:read"]);
  });

  test("what is no scope is refused by name", () => {
    for (const wrong of [
      "",
      "Admin",
      "records",
      "records:*",
      "thread:a:read",
      "thread:th_a:admin",
      "admin\n",
    ]) {
      expect(() => parseScopes(["admin", wrong])).toThrow(`there is no scope "${wrong}"`);
    }
    expect(() => parseScopes([])).toThrow("no scope is named");
  });

  test("actors are DIDs, and none means any", () => {
    expect(parseActors([BOB, ALICE, BOB])).toEqual([ALICE, BOB]);
    expect(parseActors([])).toEqual([]);
    expect(() => parseActors([ALICE, "alice"])).toThrow('"alice" is no DID');
  });
});

describe("nobody hands out more than he has", () => {
  const caller = (scopes: string[], actors: string[] = []): Caller => ({ account: "x", scopes, actors });
  const gives = (by: Caller, scopes: string[], actors: string[] = []) => {
    try {
      requireWithin(by, { scopes, actors });
      return true;
    } catch (error) {
      expect(error).toMatchObject({ code: "forbidden" });
      return false;
    }
  };

  test("scopes", () => {
    const reader = caller(["records:read"]);
    expect(gives(caller(["admin"]), ["admin", "federation:manage", "thread:th_a:write"])).toBe(true);
    expect(gives(reader, ["records:read", "thread:th_a:read"])).toBe(true);
    expect(gives(reader, ["thread:th_a:write"])).toBe(false);
    expect(gives(reader, ["records:read", "admin"])).toBe(false);
    expect(gives(caller(["thread:th_a:read"]), ["thread:th_a:read"])).toBe(true);
    expect(gives(caller(["thread:th_a:read"]), ["thread:th_b:read"])).toBe(false);
    expect(gives(caller(["config:read", "config:write"]), ["admin"])).toBe(false);
  });

  test("writing everywhere is not writing on the threads that steer the instance", () => {
    expect(gives(caller(["records:write"]), ["thread:th_a:write"])).toBe(true);
    for (const thread of ["th_devices", "th_engine_config", "th_federation_pairs"]) {
      expect(gives(caller(["records:write"]), [`thread:${thread}:write`])).toBe(false);
      expect(gives(caller(["records:read"]), [`thread:${thread}:read`])).toBe(true);
    }
  });

  test("actors", () => {
    expect(gives(caller(["admin"]), ["admin"], [ALICE])).toBe(true);
    expect(gives(caller(["admin"], [ALICE, BOB]), ["admin"], [ALICE])).toBe(true);
    expect(gives(caller(["admin"], [ALICE]), ["admin"], [ALICE, BOB])).toBe(false);
    // None would mean any.
    expect(gives(caller(["admin"], [ALICE]), ["admin"], [])).toBe(false);
  });
});
