/** A comparison as lanes: when each stage of a request begins, and how long it takes, on one scale. */
import type { Stage } from '../../kernel/trace.ts';
import type { Comparison } from './comparison.ts';

/** Parts of the longest request, from 0 to 1. */
export type Span = { from: number; width: number };

export type Lane = {
  mode: string;
  totalMs: number;
  stages: (Span & { stage: Stage; ms: number })[];
  /** From the messages that were sent to Postgres to its answer. */
  postgres: (Span & { ms: number })[];
};

export type Lanes = {
  /** The time of the longest request. */
  scaleMs: number;
  lanes: Lane[];
};

export function lanesOf({ modes }: Comparison): Lanes {
  const scaleMs = Math.max(...modes.map(({ explanation }) => explanation.total_ms));
  const span = (startMs: number, ms: number) => ({ from: startMs / scaleMs, width: ms / scaleMs });
  const lanes = modes.map(({ mode, explanation: { total_ms: totalMs, stages } }) => ({
    mode,
    totalMs,
    stages: stages.map(({ stage, start_ms, ms }) => ({ stage, ms, ...span(start_ms, ms) })),
    postgres: stages
      .flatMap(({ calls }) => calls.flatMap(({ groups }) => groups))
      .map(({ start_ms, ms }) => ({ ms: ms ?? 0, ...span(start_ms, ms ?? 0) })),
  }));
  return { scaleMs, lanes };
}

/** Returns moments for a time axis: at most six, each a round number of milliseconds. */
export function ticksOf(scaleMs: number): number[] {
  const power = 10 ** Math.floor(Math.log10(scaleMs / 5));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => scaleMs / one <= 6);
  const width = step ?? scaleMs;
  return Array.from({ length: Math.floor(scaleMs / width) + 1 }, (_, at) =>
    Number((at * width).toPrecision(3)),
  );
}
