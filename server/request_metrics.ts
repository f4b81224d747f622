import type { Family, Sample } from "./exposition.ts";
import type { Matched } from "./match.ts";

/** Upper bounds in seconds, as Prometheus' own clients have them. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

interface Latency {
  labels: Record<string, string>;
  /** Requests by bucket, not cumulated; the last is above all bounds. */
  buckets: number[];
  sum: number;
}

/**
 * Requests by method, route and status class. Labels come from the route table alone, never from a request, so that
 * nobody can make more of them; what fits no route is `none`.
 */
export class RequestMetrics {
  readonly #seen = new Map<Matched | null, Map<number, Latency>>();

  /** @param seconds until the head of the answer was ready; a stream's body is not waited for */
  count(route: Matched | null, status: number, seconds: number): void {
    const classes = this.#seen.get(route) ?? new Map<number, Latency>();
    this.#seen.set(route, classes);
    const family = Math.floor(status / 100);
    let latency = classes.get(family);
    if (latency === undefined) {
      const labels = { method: route?.method ?? "none", route: route?.path ?? "none", status: `${family}xx` };
      latency = { labels, buckets: new Array<number>(BUCKETS.length + 1).fill(0), sum: 0 };
      classes.set(family, latency);
    }
    const at = BUCKETS.findIndex((bound) => seconds <= bound);
    latency.buckets[at < 0 ? BUCKETS.length : at]!++;
    latency.sum += seconds;
  }

  families(): Family[] {
    const all = [...this.#seen.values()].flatMap((classes) => [...classes.values()]);
    return [
      {
        name: "spl_http_requests_total",
        type: "counter",
        help: "Requests answered, by route pattern and status class.",
        samples: all.map(({ labels, buckets }) => ({ labels, value: total(buckets) })),
      },
      {
        name: "spl_http_request_duration_seconds",
        type: "histogram",
        help: "Time until the head of the answer was ready, by route pattern and status class.",
        samples: all.flatMap(histogram),
      },
    ];
  }
}

function histogram({ labels, buckets, sum }: Latency): Sample[] {
  let below = 0;
  const cumulated = buckets.map((count, at) => {
    below += count;
    const le = at < BUCKETS.length ? String(BUCKETS[at]) : "+Inf";
    return { suffix: "_bucket", labels: { ...labels, le }, value: below };
  });
  return [...cumulated, { suffix: "_sum", labels, value: sum }, { suffix: "_count", labels, value: below }];
}

function total(buckets: readonly number[]): number {
  return buckets.reduce((sum, count) => sum + count, 0);
}
