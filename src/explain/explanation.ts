/**
 * An explanation: how one request went, as a JSON document. The terminal, the page and the operator's route
 * all show this document.
 */
import type { Facts, Stage } from '../kernel/trace.ts';

export type Explanation = {
  request_id: string;
  method: string;
  /** The route's pattern: a path may hold a mistyped secret. */
  endpoint: string;
  tenant: { slug: string; isolation: string } | null;
  status: number;
  /** From the request's head to its reply. The stages follow one another without a gap and add up to it. */
  total_ms: number;
  stages: ExplainedStage[];
};

/** All times begin with the request. */
export type ExplainedStage = {
  stage: Stage;
  start_ms: number;
  ms: number;
  decided: Facts;
  /** The code of the refusal, if this stage has refused the request. */
  refused: string | null;
  /** What was sent to Postgres for the tenant. */
  calls: ExplainedCall[];
  /** Where to read about the stage, and the test that holds it. */
  source: string;
  test: string;
};

/** A statement in an envelope of its own, or a transaction of several. */
export type ExplainedCall = {
  start_ms: number;
  /** How long it waited for a connection; null when it got none. */
  wait_ms: number | null;
  groups: ExplainedGroup[];
  /** The lines of EXPLAIN (ANALYZE, BUFFERS), where that was asked for. */
  plan: string[] | null;
};

/** Messages that end with a Sync. Outside a transaction, Postgres commits all of them or nothing. */
export type ExplainedGroup = {
  start_ms: number;
  ms: number | null;
  messages: ExplainedMessage[];
  rows: number;
  /** The command tag of its statement, such as SELECT. */
  tag: string | null;
  sqlstate: string | null;
};

export type ExplainedMessage = {
  message: string;
  /** The name of a prepared statement. */
  statement?: string;
  sql?: string;
  parameters?: { name: string; value: string | null }[];
};

/** The file that shows a stage best, and the test that holds it. */
export const references: Readonly<Record<Stage, { source: string; test: string }>> = {
  http: { source: 'src/http/request.ts', test: 'test/http/smuggling.test.ts' },
  dispatch: { source: 'src/server/dispatch.ts', test: 'test/server/admission_control.test.ts' },
  resolve: { source: 'src/kernel/resolve.ts', test: 'test/e2e/resolution.test.ts' },
  authenticate: { source: 'src/kernel/credential.ts', test: 'test/e2e/guessing.test.ts' },
  authorize: { source: 'src/kernel/kernel.ts', test: 'test/e2e/enumeration.test.ts' },
  limit: { source: 'src/kernel/token_bucket.ts', test: 'test/contract/limiter.ts' },
  parse: { source: 'src/http/route.ts', test: 'test/e2e/contract.test.ts' },
  execute: { source: 'src/isolation/tenant_db.ts', test: 'test/contract/isolation.ts' },
  reply: { source: 'src/http/exchange.ts', test: 'test/http/replies.test.ts' },
};
