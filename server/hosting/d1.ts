import type { HostingDatabase, Query, SqlValue } from "../../lib/hosting/database.ts";

/** What is used of a D1 binding (developers.cloudflare.com/d1/worker-api). */
export interface D1Binding {
  prepare(sql: string): D1Statement;
  /** In one transaction. */
  batch(statements: D1Statement[]): Promise<D1Result[]>;
}

export interface D1Statement {
  bind(...values: SqlValue[]): D1Statement;
  all(): Promise<D1Result>;
  run(): Promise<D1Result>;
}

export interface D1Result {
  results: unknown[];
  meta: { changes: number };
}

/** The hosting database in Cloudflare's D1. */
export class D1Database implements HostingDatabase {
  constructor(readonly binding: D1Binding) {}

  async all<T>(sql: string, ...params: SqlValue[]): Promise<T[]> {
    const { results } = await this.#bound({ sql, params }).all();
    return results as T[];
  }

  async run(sql: string, ...params: SqlValue[]): Promise<number> {
    const { meta } = await this.#bound({ sql, params }).run();
    return meta.changes;
  }

  async batch(queries: readonly Query[]): Promise<number[]> {
    const results = await this.binding.batch(queries.map((query) => this.#bound(query)));
    return results.map(({ meta }) => meta.changes);
  }

  #bound({ sql, params }: Query): D1Statement {
    return this.binding.prepare(sql).bind(...params);
  }
}
