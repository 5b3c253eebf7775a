/** The messages between the lab and the load process. */
import * as v from 'valibot';

const loadRequest = v.object({
  method: v.picklist(['GET', 'POST']),
  path: v.string(),
  headers: v.record(v.string(), v.string()),
  body: v.optional(v.string()),
});

export type LoadRequest = v.InferOutput<typeof loadRequest>;

const closedLoop = v.object({
  kind: v.literal('closed_loop'),
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
  /** Requests per second in total, evenly spaced. */
  perSecond: v.number(),
  measureMs: v.number(),
  timeoutMs: v.number(),
  requests: v.array(loadRequest),
});

const sweep = v.object({
  kind: v.literal('sweep'),
  url: v.string(),
  /** Requests in flight at once. */
  connections: v.number(),
  timeoutMs: v.number(),
  requests: v.array(loadRequest),
});

export const job = v.variant('kind', [closedLoop, pace, sweep]);

/** A closed loop: each connection has one request in flight at any time. */
export type ClosedLoop = v.InferOutput<typeof closedLoop>;

/** An open loop: requests are sent on schedule, whether earlier ones have been answered or not. */
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
  /** Errors, such as `3 × status 503`. */
  faults: v.array(v.string()),
  /** Requests without a 2xx reply. */
  failed: v.number(),
  cpuUs: v.number(),
});

/** The result of a job. Times count from the end of the warm-up. */
export type Outcome = v.InferOutput<typeof outcome>;

export const report = v.variant('kind', [
  outcome,
  v.object({ kind: v.literal('ready') }),
  /** The warm-up is over. */
  v.object({ kind: v.literal('opens') }),
  /** Later replies are not counted. */
  v.object({ kind: v.literal('closes') }),
  v.object({ kind: v.literal('failed'), reason: v.string() }),
]);

export type Report = v.InferOutput<typeof report>;
