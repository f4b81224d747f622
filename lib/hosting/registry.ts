import { SplError } from "../base/errors.ts";
import type { HostingDatabase, Query } from "./database.ts";
import type { Handles, Machine, Plan } from "./types.ts";

/** What happens to an instance on its way from a wish to a machine, in this order. */
export const PHASES = ["reserve", "volume", "machine", "boot", "bootstrap", "ready"] as const;
export type Phase = (typeof PHASES)[number];

/** What an instance is while it is being removed, by what it will be. */
export const REMOVING = { left: "leaving", deleted: "deleting" } as const;

/**
 * `failing`: something went wrong, and what was made is being removed; then `failed`. `ending`: nobody gets in while the
 * owner's bundle is compared; then it is `ready` again, or being removed, and in the end `left` (its address answers with
 * where it went) or `deleted`.
 */
export type InstanceState =
  | "provisioning"
  | "failing"
  | "failed"
  | "ready"
  | "ending"
  | (typeof REMOVING)[keyof typeof REMOVING]
  | keyof typeof REMOVING;

/** Why an instance did not come to be, as its owner is told. */
export interface Failure {
  code: string;
  phase: Phase;
  message: string;
  hint: string | null;
}

export interface HostedInstance extends Machine {
  owner: string;
  state: InstanceState;
  handles: Handles;
  /** How many one-shot links were made; the last one is the one that counts. */
  links: number;
  failure: Failure | null;
  /** Its DID when it was made; an import gives it another. */
  did: string | null;
  /** Unix milliseconds. */
  created_at: number;
  ready_at: number | null;
  ended_at: number | null;
}

export interface PhaseRow {
  phase: Phase;
  started_at: number;
  ended_at: number | null;
}

export interface Link {
  instance: string;
  created_at: number;
  /** When its token was shown, Unix milliseconds. */
  revealed_at: number | null;
  /** Whether another link has taken its place. */
  void: boolean;
}

type InstanceColumns = Omit<HostedInstance, "plan" | "handles" | "failure"> & {
  plan: string;
  handles: string;
  failure: string | null;
};

/** Everything that the hosting service remembers, over any `HostingDatabase`. Times are Unix milliseconds. */
export class Registry {
  constructor(readonly db: HostingDatabase) {}

  /**
   * Takes a label for a new instance, in one transaction: of two at once one gets it.
   * @param link hash of its first one-shot link
   * @param most instances that the owner may have, and that there may be, at one time
   * @throws SplError label_taken, limit_reached; forbidden for an invitation that was used meanwhile. What the database
   *   throws where the id is there already
   */
  async reserve(
    wanted: Machine & { owner: string; link: string },
    most: { owner: number; all: number },
    invitation: string | null,
    now: number,
  ): Promise<void> {
    const { id, label, url, owner, plan, link } = wanted;
    const held = "state NOT IN ('failed', 'left', 'deleted')";
    const queries: Query[] = [
      {
        sql: `INSERT INTO labels (label, instance) SELECT ?1, ?2
          WHERE (SELECT count(*) FROM instances WHERE owner = ?3 AND ${held}) < ?4
          AND (SELECT count(*) FROM instances WHERE ${held}) < ?5
          AND (?6 IS NULL OR EXISTS (SELECT 1 FROM invitations WHERE hash = ?6 AND instance IS NULL AND expires_at > ?7))
          ON CONFLICT DO NOTHING`,
        params: [label, id, owner, most.owner, most.all, invitation, now],
      },
      {
        sql: `INSERT INTO instances (id, label, url, owner, plan, state, links, created_at)
          SELECT ?1, ?2, ?3, ?4, ?5, 'provisioning', 1, ?6 WHERE EXISTS (SELECT 1 FROM labels WHERE label = ?2 AND instance = ?1)`,
        params: [id, label, url, owner, JSON.stringify(plan), now],
      },
      {
        sql: `INSERT INTO links (hash, instance, created_at)
          SELECT ?1, ?2, ?3 WHERE EXISTS (SELECT 1 FROM instances WHERE id = ?2)`,
        params: [link, id, now],
      },
      {
        sql: `INSERT INTO owners (owner, created_at) SELECT ?1, ?2 WHERE EXISTS (SELECT 1 FROM instances WHERE id = ?3)
          ON CONFLICT DO NOTHING`,
        params: [owner, now, id],
      },
      {
        sql: `INSERT INTO phases (instance, phase, started_at, ended_at)
          SELECT ?1, 'reserve', ?2, ?2 WHERE EXISTS (SELECT 1 FROM instances WHERE id = ?1)`,
        params: [id, now],
      },
      {
        sql: "UPDATE invitations SET instance = ?1 WHERE hash = ?2 AND EXISTS (SELECT 1 FROM instances WHERE id = ?1)",
        params: [id, invitation],
      },
    ];
    const [taken] = await this.db.batch(queries);
    if (taken === 1) return;
    if (await this.isTaken(label)) {
      throw new SplError("label_taken", `the label ${label} is taken`, { hint: "choose another label" });
    }
    if (invitation !== null && !(await this.isInvited(invitation, now))) throw notInvited();
    const own = await this.#count(`owner = ? AND ${held}`, owner);
    throw own >= most.owner
      ? new SplError("limit_reached", `you have ${own} of ${most.owner} instances that you may have here`, {
          hint: "delete one that you need no longer, then try again",
        })
      : new SplError("limit_reached", `this service has no room for another instance (${most.all})`, {
          hint: "try again later, or ask who runs it",
        });
  }

  async #count(where: string, ...params: string[]): Promise<number> {
    const [row] = await this.db.all<{ n: number }>(
      `SELECT count(*) AS n FROM instances WHERE ${where}`,
      ...params,
    );
    return row!.n;
  }

  async isTaken(label: string): Promise<boolean> {
    return (await this.db.all("SELECT 1 FROM labels WHERE label = ?", label)).length > 0;
  }

  async instance(id: string): Promise<HostedInstance | null> {
    const [row] = await this.db.all<InstanceColumns>("SELECT * FROM instances WHERE id = ?", id);
    return row ? parsed(row) : null;
  }

  /** The instance that has the label, or had it last. */
  async byLabel(label: string): Promise<HostedInstance | null> {
    const [row] = await this.db.all<InstanceColumns>(
      "SELECT i.* FROM labels l JOIN instances i ON i.id = l.instance WHERE l.label = ?",
      label,
    );
    return row ? parsed(row) : null;
  }

  /** The newest of those that ever had the label, also of those that never came to be; else the one with this id. */
  async lastNamed(text: string): Promise<HostedInstance | null> {
    const [row] = await this.db.all<InstanceColumns>(
      "SELECT * FROM instances WHERE label = ?1 OR id = ?1 ORDER BY label = ?1 DESC, rowid DESC LIMIT 1",
      text,
    );
    return row ? parsed(row) : null;
  }

  /** Oldest first; of one owner, or in one of these states, or all. */
  async list({
    owner,
    states,
  }: {
    owner?: string;
    states?: readonly InstanceState[];
  } = {}): Promise<HostedInstance[]> {
    const rows = await this.db.all<InstanceColumns>(
      `SELECT * FROM instances WHERE (?1 IS NULL OR owner = ?1) AND (?2 IS NULL OR state IN (SELECT value FROM json_each(?2)))
       ORDER BY created_at, id`,
      owner ?? null,
      states ? JSON.stringify(states) : null,
    );
    return rows.map(parsed);
  }

  async note(id: string, handles: Handles): Promise<void> {
    await this.db.run("UPDATE instances SET handles = ? WHERE id = ?", JSON.stringify(handles), id);
  }

  async putUrl(id: string, url: string): Promise<void> {
    await this.db.run("UPDATE instances SET url = ? WHERE id = ?", url, id);
  }

  async phases(id: string): Promise<PhaseRow[]> {
    const rows = await this.db.all<PhaseRow>(
      "SELECT phase, started_at, ended_at FROM phases WHERE instance = ?",
      id,
    );
    return rows.sort((a, b) => PHASES.indexOf(a.phase) - PHASES.indexOf(b.phase));
  }

  async beginPhase(id: string, phase: Phase, now: number): Promise<void> {
    await this.db.run(
      "INSERT INTO phases (instance, phase, started_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
      id,
      phase,
      now,
    );
  }

  async endPhase(id: string, phase: Phase, now: number): Promise<void> {
    await this.db.run("UPDATE phases SET ended_at = ? WHERE instance = ? AND phase = ?", now, id, phase);
  }

  /** The last phase has ended: it is an instance. */
  async becomeReady(id: string, did: string, now: number): Promise<void> {
    await this.db.batch([
      { sql: "UPDATE phases SET ended_at = ? WHERE instance = ? AND phase = 'ready'", params: [now, id] },
      {
        sql: "UPDATE instances SET state = 'ready', did = ?, ready_at = ? WHERE id = ? AND state = 'provisioning'",
        params: [did, now, id],
      },
    ]);
  }

  async beginFailing(id: string, failure: Failure): Promise<void> {
    await this.db.run(
      "UPDATE instances SET state = 'failing', failure = ? WHERE id = ? AND state = 'provisioning'",
      JSON.stringify(failure),
      id,
    );
  }

  /** Nothing of it is left: the label is free again, and so is the invitation. */
  async becomeFailed(id: string, now: number): Promise<void> {
    await this.db.batch([
      {
        sql: "UPDATE instances SET state = 'failed', handles = '{}', ended_at = ? WHERE id = ?",
        params: [now, id],
      },
      { sql: "DELETE FROM labels WHERE instance = ?", params: [id] },
      { sql: "DELETE FROM links WHERE instance = ?", params: [id] },
      { sql: "UPDATE invitations SET instance = NULL WHERE instance = ?", params: [id] },
    ]);
  }

  /** False when it is not what it must be for that, or somebody else was first. */
  async move(id: string, from: InstanceState, to: InstanceState): Promise<boolean> {
    return (
      (await this.db.run("UPDATE instances SET state = ? WHERE id = ? AND state = ?", to, id, from)) === 1
    );
  }

  /** Takes or prolongs the lease on an instance; false while somebody else has it. */
  async takeLease(instance: string, holder: string, until: number, now: number): Promise<boolean> {
    const sql = `INSERT INTO leases (instance, holder, until) VALUES (?1, ?2, ?3)
       ON CONFLICT DO UPDATE SET holder = ?2, until = ?3 WHERE holder = ?2 OR until <= ?4`;
    return (await this.db.run(sql, instance, holder, until, now)) === 1;
  }

  async releaseLease(instance: string, holder: string): Promise<void> {
    await this.db.run("DELETE FROM leases WHERE instance = ? AND holder = ?", instance, holder);
  }

  /** For a process that knows that it is the only one. */
  async releaseAllLeases(): Promise<void> {
    await this.db.run("DELETE FROM leases");
  }

  /**
   * From here on there is no way back: only for who has the lease, since another may have let requests in again.
   * @param did of the identity that leaves, as its bundle says
   */
  async beginRemoving(
    id: string,
    to: keyof typeof REMOVING,
    did: string | null,
    holder: string,
  ): Promise<boolean> {
    const sql = `UPDATE instances SET state = ?1, did = coalesce(?2, did) WHERE id = ?3 AND state = 'ending'
      AND EXISTS (SELECT 1 FROM leases WHERE instance = ?3 AND holder = ?4)`;
    return (await this.db.run(sql, REMOVING[to], did, id, holder)) === 1;
  }

  /** Its machine is gone. The label stays its own. */
  async becomeEnded(id: string, state: keyof typeof REMOVING, now: number): Promise<void> {
    await this.db.batch([
      {
        sql: "UPDATE instances SET state = ?, handles = '{}', ended_at = ? WHERE id = ?",
        params: [state, now, id],
      },
      { sql: "UPDATE links SET void = 1 WHERE instance = ?", params: [id] },
    ]);
  }

  /**
   * Makes the next one-shot link; those before it are void.
   * @param hash gives the hash of link number n
   * @returns n
   */
  async addLink(id: string, hash: (n: number) => string, now: number): Promise<number> {
    for (;;) {
      const [row] = await this.db.all<{ links: number }>("SELECT links FROM instances WHERE id = ?", id);
      const n = (row?.links ?? 0) + 1;
      const [counted] = await this.db.batch([
        { sql: "UPDATE instances SET links = ?1 WHERE id = ?2 AND links = ?1 - 1", params: [n, id] },
        {
          sql: "UPDATE links SET void = 1 WHERE instance = ?1 AND EXISTS (SELECT 1 FROM instances WHERE id = ?1 AND links = ?2)",
          params: [id, n],
        },
        {
          sql: `INSERT INTO links (hash, instance, created_at)
            SELECT ?1, ?2, ?3 WHERE EXISTS (SELECT 1 FROM instances WHERE id = ?2 AND links = ?4) ON CONFLICT DO NOTHING`,
          params: [hash(n), id, now, n],
        },
      ]);
      if (counted === 1) return n;
      if (row === undefined) throw new SplError("not_found", "there is no such instance");
    }
  }

  async link(hash: string): Promise<Link | null> {
    const [row] = await this.db.all<Omit<Link, "void"> & { void: number }>(
      "SELECT instance, created_at, revealed_at, void FROM links WHERE hash = ?",
      hash,
    );
    return row ? { ...row, void: row.void !== 0 } : null;
  }

  /** True for the one who may show the token now. */
  async claimLink(hash: string, now: number): Promise<boolean> {
    const sql = "UPDATE links SET revealed_at = ? WHERE hash = ? AND revealed_at IS NULL AND void = 0";
    return (await this.db.run(sql, now, hash)) === 1;
  }

  /** The token could not be made: the link may be used again. */
  async releaseLink(hash: string): Promise<void> {
    await this.db.run("UPDATE links SET revealed_at = NULL WHERE hash = ?", hash);
  }

  /** True unless the owner has a recovery code already, which stays. */
  async setFirstRecovery(owner: string, hash: string): Promise<boolean> {
    const sql = "UPDATE owners SET recovery = ? WHERE owner = ? AND recovery IS NULL";
    return (await this.db.run(sql, hash, owner)) === 1;
  }

  async setRecovery(owner: string, hash: string): Promise<void> {
    await this.db.run("UPDATE owners SET recovery = ? WHERE owner = ?", hash, owner);
  }

  async ownerByRecovery(hash: string): Promise<string | null> {
    const [row] = await this.db.all<{ owner: string }>("SELECT owner FROM owners WHERE recovery = ?", hash);
    return row?.owner ?? null;
  }

  async addSession(hash: string, owner: string, expiresAt: number, now: number): Promise<void> {
    await this.db.batch([
      { sql: "DELETE FROM sessions WHERE expires_at <= ?", params: [now] },
      {
        sql: "INSERT INTO sessions (hash, owner, expires_at) VALUES (?, ?, ?)",
        params: [hash, owner, expiresAt],
      },
    ]);
  }

  async session(hash: string, now: number): Promise<string | null> {
    const [row] = await this.db.all<{ owner: string }>(
      "SELECT owner FROM sessions WHERE hash = ? AND expires_at > ?",
      hash,
      now,
    );
    return row?.owner ?? null;
  }

  async endSession(hash: string): Promise<void> {
    await this.db.run("DELETE FROM sessions WHERE hash = ?", hash);
  }

  async addInvitation(hash: string, expiresAt: number, now: number): Promise<void> {
    const sql = "INSERT INTO invitations (hash, created_at, expires_at) VALUES (?, ?, ?)";
    await this.db.run(sql, hash, now, expiresAt);
  }

  async isInvited(hash: string, now: number): Promise<boolean> {
    const sql = "SELECT 1 FROM invitations WHERE hash = ? AND instance IS NULL AND expires_at > ?";
    return (await this.db.all(sql, hash, now)).length > 0;
  }

  async statement(did: string): Promise<string | null> {
    const [row] = await this.db.all<{ json: string }>("SELECT json FROM statements WHERE did = ?", did);
    return row?.json ?? null;
  }

  async countStatements(): Promise<number> {
    const [row] = await this.db.all<{ n: number }>("SELECT count(*) AS n FROM statements");
    return row!.n;
  }

  /** @returns false when what is there is no longer `before` (null: nothing) */
  async putStatement(did: string, json: string, before: string | null): Promise<boolean> {
    const changed =
      before === null
        ? await this.db.run(
            "INSERT INTO statements (did, json) VALUES (?, ?) ON CONFLICT DO NOTHING",
            did,
            json,
          )
        : await this.db.run("UPDATE statements SET json = ? WHERE did = ? AND json = ?", json, did, before);
    return changed === 1;
  }

  /** Counts a call of this source and kind; returns how many came in the window that holds it. */
  async countCall(source: string, kind: string, window: number): Promise<number> {
    const [row] = await this.db.all<{ n: number }>(
      `INSERT INTO calls (source, kind, window, n) VALUES (?1, ?2, ?3, 1)
       ON CONFLICT DO UPDATE SET n = CASE WHEN window = excluded.window THEN n + 1 ELSE 1 END, window = excluded.window
       RETURNING n`,
      source,
      kind,
      window,
    );
    return row!.n;
  }

  /** Forgets what was counted before this window. */
  async forgetCalls(kind: string, window: number): Promise<void> {
    await this.db.run("DELETE FROM calls WHERE kind = ? AND window < ?", kind, window);
  }
}

export function notInvited(): SplError {
  return new SplError("forbidden", "the invitation is not known here, was used, or has expired", {
    hint: "ask who runs this service for another one",
  });
}

function parsed(row: InstanceColumns): HostedInstance {
  return {
    ...row,
    plan: JSON.parse(row.plan) as Plan,
    handles: JSON.parse(row.handles) as Handles,
    failure: row.failure === null ? null : (JSON.parse(row.failure) as Failure),
  };
}
