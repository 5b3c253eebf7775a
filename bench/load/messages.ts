/** What the lab and the load process say to each other. */
import * as v from 'valibot';

const loadRequest = v.object({
  method: v.picklist(['GET', 'POST']),
  path: v.string(),
  headers: v.record(v.string(), v.string()),
  body: v.optional(v.string()),
});

export type LoadRequest = v.InferOutput<typeof loadRequest>;

const storm = v.object({
  kind: v.literal('storm'),
  url: v.string(),
  connections: v.number(),
  warmupMs: v.number(),
  measureMs: v.number(),
  timeoutMs: v.number(),
  requests: v.array(loadRequest),
});

const pace = v.object({
  kind: v.literal('pace'),
  url: v.string(),
  /** Requests per second, all together, evenly spaced. */
  perSecond: v.number(),
  measureMs: v.number(),
  timeoutMs: v.number(),
  requests: v.array(loadRequest),
});

const sweep = v.object({
  kind: v.literal('sweep'),
  url: v.string(),
  /** Requests under way at once. */
  connections: v.number(),
  timeoutMs: v.number(),
  requests: v.array(loadRequest),
});

export const job = v.variant('kind', [storm, pace, sweep]);

/** As many connections as are given, each with one request under way at any time. */
export type Storm = v.InferOutput<typeof storm>;

/** Requests at their own times, whether or not those before them have been answered. */
export type Pace = v.InferOutput<typeof pace>;

/** Every request once. */
export type Sweep = v.InferOutput<typeof sweep>;

export type Job = v.InferOutput<typeof job>;

const outcome = v.object({
  kind: v.literal('outcome'),
  seconds: v.number(),
  requests: v.number(),
  p50Us: v.number(),
  p99Us: v.number(),
  p999Us: v.number(),
  /** What was wrong, such as `3 × status 503`; empty when nothing was. */
  faults: v.array(v.string()),
  /** Requests that were not answered with 2xx. */
  failed: v.number(),
  cpuUs: v.number(),
});

/** What came of a job. Times are counted from the end of the warm-up. */
export type Outcome = v.InferOutput<typeof outcome>;

export const report = v.variant('kind', [
  outcome,
  v.object({ kind: v.literal('ready') }),
  /** The warm-up is over. */
  v.object({ kind: v.literal('opens') }),
  /** What follows is not counted any more. */
  v.object({ kind: v.literal('closes') }),
  v.object({ kind: v.literal('failed'), reason: v.string() }),
]);

export type Report = v.InferOutput<typeof report>;
