/**
 * A trace follows one request, to explain it. Most of what a stage decides is in the request's record; a
 * trace adds the rest. A request that is not explained has no trace: then each report costs one comparison
 * with undefined.
 */
import type { Refusal } from './errors.ts';

/** All stages of a tenant's request, in order. */
export const stages = [
  ...(['http', 'dispatch'] as const),
  ...(['resolve', 'authenticate', 'authorize', 'limit', 'parse', 'execute'] as const),
  'reply',
] as const;

/** The name of a stage. */
export type Stage = (typeof stages)[number];

/** The facts that a stage has decided, by name. */
export type Facts = Readonly<Record<string, string | number | boolean | null>>;

/** Receives the reports on one request. */
export interface Trace {
  /** Ends the stage before and begins this one: no time is between them. */
  stage(name: Stage): void;
  /** Adds facts to the stage in progress. */
  note(facts: Facts): void;
  /** The stage in progress has refused the request. Begins `reply`. */
  refused(refusal: Refusal): void;
  /** Begins a statement or a transaction. The wait for its connection counts from here. */
  call(): CallTrace;
}

/** The result of one group of messages; null when the connection ended before it. */
export type TracedAnswer = {
  rows: readonly object[];
  tag: string | null;
  error: Error | null;
} | null;

/** Receives the reports on one statement or transaction. */
export interface CallTrace {
  /**
   * A group of messages was sent. The bytes hold secrets, so they must not be kept.
   *
   * @param text the statement among them, without its parameters.
   */
  sent(bytes: Uint8Array, text: string | null): void;
  answered(answer: TracedAnswer): void;
  /** Receives the plan of the statement. Only where it may be run for that, besides the request. */
  plan?(read: () => Promise<readonly string[]>): Promise<void>;
}
