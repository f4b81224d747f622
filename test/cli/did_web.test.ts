import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { homePaths } from "../../lib/base/home.ts";
import { didDocument } from "../../lib/identity/did.ts";
import { Box } from "../kit/box.ts";
import { Authority } from "../kit/certificates.ts";
import { Liar } from "../kit/liar.ts";
import { syncBox, whoIs, writePair } from "../kit/paired.ts";
import { makeEntry, testSigner } from "../kit/records.ts";
import { ScratchFolder } from "../kit/store.ts";

test("records of did:web signers come in once their documents tell the key, after a restart as well", async () => {
  using folder = new ScratchFolder();
  const authority = await Authority.make(folder.path);
  const { cert, key } = await authority.issue("web");
  const documents = new Map<string, object>();
  using web = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    tls: { cert: Bun.file(cert), key: Bun.file(key) },
    fetch: ({ url }) => {
      const document = documents.get(new URL(url).pathname);
      return document ? Response.json(document) : new Response("", { status: 404 });
    },
  });
  const signers = ["early", "late"].map((name, i) => ({
    ...testSigner(20 + i),
    did: `did:web:localhost%3A${web.port}:${name}`,
  }));
  const [early, late] = signers.map((signer, i) => makeEntry({ thread: `th_${i}` }, { signer })) as [
    ReturnType<typeof makeEntry>,
    ReturnType<typeof makeEntry>,
  ];
  const publish = (name: string, i: number) =>
    documents.set(`/${name}/did.json`, didDocument(signers[i]!.did, signers[i]!.key.publicKey));
  publish("early", 0);

  await using liar = new Liar();
  await using box = new Box();
  box.home.env.NODE_EXTRA_CA_CERTS = authority.cert;
  const { home, config } = homePaths(box.home.env.SYNCROPEL_HOME!);
  mkdirSync(home, { recursive: true });
  writeFileSync(config, '[federation]\nallow_networks = ["127.0.0.0/8", "::1/128"]\n');
  await box.join();
  const { did } = await whoIs(box);
  await writePair(box, did, { peer_did: liar.signer.did, url: liar.url, state: "active" });
  liar.answer = () => liar.page([early, late]);
  const first = await syncBox(box);
  expect(first.outcomes[0]).toMatchObject({
    pulled: 1,
    refused: { unknown_signer: 1 },
    refused_ids: [late.id],
    failure: null,
  });

  publish("late", 1);
  await box.stop();
  liar.answer = (_, path) => {
    if (path.endsWith("/reconcile")) {
      const ids = [early.id, late.id].sort().flatMap((id) => [...Uint8Array.fromHex(id)]);
      return new Response(Uint8Array.of(0x61, 0, 0, 2, 2, ...ids), {
        headers: { "content-type": "application/octet-stream", "syncropel-cursor": "reconciled" },
      });
    }
    return liar.page(path.includes("?") ? [] : [late], {
      cursor: path.includes("?") ? "next" : null,
      more: false,
    });
  };
  await box.join();
  const second = await syncBox(box);
  expect(second.outcomes[0]).toMatchObject({ pulled: 1, refused: {}, failure: null });
  expect(await box.ok("thread", "records", "th_1")).toContain(late.id);
}, 60_000);
