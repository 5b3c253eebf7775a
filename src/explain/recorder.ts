/**
 * Records the trace of one request. A stage ends where the next one begins, and the last one ends with the
 * request: so the times of the stages add up to the whole, whatever happens in between.
 */
import type { FinishedRequest } from '../http/exchange.ts';
import { IsolationViolation, type Refusal } from '../kernel/errors.ts';
import type { RequestRecord } from '../kernel/ports.ts';
import type { CallTrace, Facts, Stage, Trace, TracedAnswer } from '../kernel/trace.ts';
import { codeOf } from '../postgres/errors.ts';
import {
  type ExplainedCall,
  type ExplainedGroup,
  type ExplainedStage,
  type Explanation,
  references,
} from './explanation.ts';
import { explainedMessages, type MessageLimits, shortened } from './messages.ts';

export type RecorderOptions = {
  nowMs: () => number;
  limits: MessageLimits & {
    /** The statements and transactions of a request, and the groups of each. */
    calls: number;
    groups: number;
  };
  /** Whether each statement is run once more for its plan. That time is not counted. */
  plans: boolean;
};

/** The facts of a finished request that its explanation has. */
export type RecordedRequest = Pick<FinishedRequest, 'method' | 'record' | 'status' | 'durationMs'>;

export class Recorder implements Trace {
  readonly #options: RecorderOptions;
  readonly #startedMs: number;
  readonly #stages: ExplainedStage[] = [];
  /** The time that is not part of the request. */
  #asideMs = 0;
  #calls = 0;
  #isOver = false;

  constructor(startedMs: number, options: RecorderOptions) {
    this.#options = options;
    this.#startedMs = startedMs;
    this.#begin('http', 0);
  }

  stage(name: Stage): void {
    if (!this.#isOver && this.open?.stage !== name) this.#begin(name, this.#passedMs());
  }

  note(facts: Facts): void {
    const { valueChars } = this.#options.limits;
    const { open } = this;
    if (!open || this.#isOver) return;
    const entries = Object.entries(facts).map(([name, fact]) => {
      return [name, typeof fact === 'string' ? shortened(fact, valueChars) : fact] as const;
    });
    open.decided = { ...open.decided, ...Object.fromEntries(entries) };
  }

  refused({ code, facts }: Refusal): void {
    const { open } = this;
    if (open && !this.#isOver) open.refused = reasonOf(code, facts.cause);
    this.stage('reply');
  }

  call(): CallTrace {
    const { limits, plans } = this.#options;
    const call = { start_ms: rounded(this.#passedMs()), wait_ms: null, groups: [], plan: null };
    this.#calls += 1;
    if (!this.#isOver && this.#calls <= limits.calls) this.open?.calls.push(call);
    const trace = this.#traceOf(call);
    return plans ? { ...trace, plan: (read) => this.#plan(call, read) } : trace;
  }

  /** The explanation of the request, which has ended. */
  explanation({ method, record, status, durationMs }: RecordedRequest): Explanation {
    const totalMs = durationMs - this.#asideMs;
    this.#end(totalMs);
    this.#isOver = true;
    const { tenant, endpoint, requestId } = record;
    const known = factsOf(record, { method, status });
    return {
      request_id: requestId,
      method,
      endpoint,
      tenant: tenant && { slug: tenant.slug, isolation: tenant.isolation },
      status,
      total_ms: rounded(totalMs),
      stages: this.#stages.map((stage) => ({
        ...stage,
        start_ms: rounded(stage.start_ms),
        ms: rounded(stage.ms),
        decided: { ...known[stage.stage], ...stage.decided },
      })),
    };
  }

  /** The stage in progress. */
  get open(): ExplainedStage | undefined {
    return this.#stages.at(-1);
  }

  #begin(stage: Stage, atMs: number): void {
    this.#end(atMs);
    const { source, test } = references[stage];
    const empty = { decided: {}, refused: null, calls: [] };
    this.#stages.push({ stage, start_ms: atMs, ms: 0, ...empty, source, test });
  }

  #end(atMs: number): void {
    const { open } = this;
    if (open) open.ms = atMs - open.start_ms;
  }

  #traceOf(call: ExplainedCall): CallTrace {
    const { limits } = this.#options;
    const waiting: (ExplainedGroup | null)[] = [];
    return {
      sent: (bytes, text) => {
        const atMs = rounded(this.#passedMs());
        call.wait_ms ??= rounded(atMs - call.start_ms);
        const kept = !this.#isOver && call.groups.length < limits.groups;
        const messages = kept ? explainedMessages(bytes, text, limits) : [];
        const group = { start_ms: atMs, ms: null, messages, rows: 0, tag: null, sqlstate: null };
        if (kept) call.groups.push(group);
        waiting.push(kept ? group : null);
      },
      answered: (answer) => {
        const group = waiting.shift();
        if (group && !this.#isOver) this.#answer(group, answer);
      },
    };
  }

  #answer(group: ExplainedGroup, answer: TracedAnswer): void {
    group.ms = rounded(this.#passedMs() - group.start_ms);
    if (!answer) return;
    group.rows = answer.rows.length;
    group.tag = answer.tag;
    group.sqlstate = answer.error && codeOf(answer.error);
  }

  /** A statement without a plan is refused in the request, too. */
  async #plan(call: ExplainedCall, read: () => Promise<readonly string[]>): Promise<void> {
    const beganMs = this.#options.nowMs();
    call.plan = await read().then(
      (lines) => lines.map((line) => shortened(line, this.#options.limits.sqlChars)),
      () => null,
    );
    this.#asideMs += this.#options.nowMs() - beganMs;
  }

  #passedMs(): number {
    return this.#options.nowMs() - this.#startedMs - this.#asideMs;
  }
}

/** Adds the SQLSTATE to the code of a refusal that Postgres has caused. */
function reasonOf(code: string, cause: unknown): string {
  const sqlstate = codeOf(cause instanceof IsolationViolation ? cause.cause : cause);
  return sqlstate === '' ? code : `${code} (${sqlstate})`;
}

/** What the stages have written to the record. */
function factsOf(
  { endpoint, tenant, caller, rateLimit }: RequestRecord,
  { method, status }: Pick<RecordedRequest, 'method' | 'status'>,
): Partial<Record<Stage, Facts>> {
  return {
    http: { method },
    ...(caller && {
      authenticate: { key: caller.keyId, user: caller.user.id, role: caller.user.role },
    }),
    // Before that, the name is any text of the client, which may be a mistyped secret.
    ...(tenant && { resolve: { tenant: tenant.slug } }),
    ...(tenant && {
      authorize: { status: tenant.status, plan: tenant.plan.name, isolation: tenant.isolation },
    }),
    ...(tenant &&
      rateLimit && {
        limit: { allowed: rateLimit.allowed, left: rateLimit.remaining, of: tenant.plan.burst },
      }),
    parse: { route: endpoint },
    reply: { status },
  };
}

/** Microseconds: the clock knows no less. */
function rounded(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}
