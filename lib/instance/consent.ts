import { SplError } from "../base/errors.ts";
import { nextTurn } from "../base/turn.ts";
import { APPROVED_NAMESPACE, type ConsentGrant } from "../folds/consent.ts";
import { isReserved, RESERVED_THREADS } from "../folds/reserved.ts";
import { emitOwn } from "./emit.ts";
import type { Instance } from "./instance.ts";
import { foldReserved } from "./reserved.ts";

/** A namespace with what is in it and whom it is shared with. */
export interface NamespaceView {
  /** Of threads in several, all of them with commas between; empty for threads that are in none. */
  namespace: string;
  threads: number;
  records: number;
  /** DIDs of pairs, or `*` for every pair. */
  shared_with: string[];
}

/** Grants in force, in the order in which they were given. */
export function listGrants(instance: Instance): Promise<ConsentGrant[]> {
  return instance.store.read(async (reader) => {
    return (await foldReserved(instance, reader)).consent.all();
  });
}

/** Shares a namespace with a pair (or `*`: with every pair), by a record. Without effect where it is shared so. */
export function grantConsent(
  instance: Instance,
  { from, to }: Omit<ConsentGrant, "id">,
): Promise<ConsentGrant> {
  return instance.store.transact(async (writer) => {
    const { consent } = await foldReserved(instance, writer);
    const known = consent.all().find((grant) => grant.from === from && grant.to === to);
    return (
      known ?? {
        id: await emitOwn(instance, writer, RESERVED_THREADS.consent, { topic: "grant", from, to }),
        from,
        to,
      }
    );
  });
}

/**
 * Takes a grant back, by a record. What has crossed already stays where it is.
 * @param name the grant's ID or the beginning of it
 * @throws SplError not_found, usage
 */
export function revokeConsent(instance: Instance, name: string): Promise<ConsentGrant> {
  return instance.store.transact(async (writer) => {
    const grants = (await foldReserved(instance, writer)).consent.all();
    const found = grants.filter(({ id }) => name !== "" && id.startsWith(name));
    const hint = "spl consent list shows all";
    if (found.length > 1) throw new SplError("usage", `${name} is the beginning of several IDs`, { hint });
    const [grant] = found;
    if (!grant) throw new SplError("not_found", `there is no grant ${name.slice(0, 300)}`, { hint });
    await emitOwn(instance, writer, RESERVED_THREADS.consent, { topic: "revoke", grant: grant.id });
    return grant;
  });
}

/**
 * Namespaces of threads that may cross to other instances, by name; those that were granted only as well. A thread whose
 * opening record has not come in, or names what cannot be granted, is in none, and shared with nobody.
 */
export function listNamespaces(instance: Instance): Promise<NamespaceView[]> {
  return instance.store.read(async (reader) => {
    const grants = [
      { from: APPROVED_NAMESPACE, to: "*" },
      ...(await foldReserved(instance, reader)).consent.all(),
    ];
    const views = new Map<string, NamespaceView>();
    const viewOf = (namespaces: readonly string[]) => {
      const namespace = namespaces.join(", ");
      const view = views.get(namespace) ?? {
        namespace,
        threads: 0,
        records: 0,
        shared_with: whoMayHave(namespaces, grants),
      };
      views.set(namespace, view);
      return view;
    };
    for (const { from } of grants) viewOf([from]);
    for await (const rows of reader.threads()) {
      for (const { thread, namespaces, records } of rows) {
        if (isReserved(thread)) continue;
        const view = viewOf(namespaces);
        view.threads++;
        view.records += records;
      }
      await nextTurn();
    }
    return [...views.values()].sort((a, b) => (a.namespace < b.namespace ? -1 : 1));
  });
}

/** Those who are granted every one of the namespaces. */
function whoMayHave(
  namespaces: readonly string[],
  grants: readonly { from: string; to: string }[],
): string[] {
  const granted = namespaces.map((each) => grants.filter(({ from }) => from === each).map(({ to }) => to));
  return [...new Set(granted.flat())].filter((who) =>
    granted.every((each) => each.includes(who) || each.includes("*")),
  );
}
