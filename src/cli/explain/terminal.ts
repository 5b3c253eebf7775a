/** A comparison as text for a terminal: the modes side by side, or one below the other if it is narrow. */
import type {
  ExplainedCall,
  ExplainedGroup,
  ExplainedMessage,
  ExplainedStage,
} from '../../explain/explanation.ts';
import { type Comparison, samples, warmUps } from './comparison.ts';
import { legend, type ReadAttempt, type Reader } from './foreign_readers.ts';

/** Narrower columns break every line of SQL several times. */
const narrowest = 34;
const gap = '  ';

/** The shown part of a reply's body. */
const replyChars = 300;

/** @param width of the terminal, in characters. */
export function comparisonLines(comparison: Comparison, width: number): string[] {
  const { request, modes } = comparison;
  const sideBySide = Math.floor((width + gap.length) / modes.length) - gap.length;
  const groups = sideBySide >= narrowest ? [modes] : modes.map((mode) => [mode]);
  const columnWidth = Math.min(60, groups.length === 1 ? sideBySide : width);
  return [
    request,
    ...groups.flatMap((group) => sections(group, columnWidth)),
    ...notes(comparison).flatMap((note) => ['', ...wrapped(note, Math.min(width, 100))]),
  ];
}

function notes({ request, modes }: Comparison): string[] {
  const readers = modes.flatMap(({ foreign_readers }) => foreign_readers);
  const plans = modes.flatMap(({ explanation: { stages } }) =>
    stages.flatMap(({ calls }) => calls.flatMap(({ plan }) => plan ?? [])),
  );
  const hasPolicy = plans.some(isPolicy);
  const times = request.startsWith('GET ')
    ? `${warmUps} requests went before, and each mode shows the one with the median time of ${samples}.`
    : `${warmUps} requests of another kind went before.`;
  return [
    ...(readers.length === 0
      ? ['The request was refused, so no foreign reader has tried it.']
      : legend.split(/(?<=\.)\n/)),
    `A stage ends where the next one begins. ${times} To compare the modes, use "npm run bench".`,
    ...(hasPolicy
      ? ['The line with ▶ holds the policy, which Postgres adds to the statement.']
      : []),
    ...(plans.length === 0
      ? []
      : ['Plans were read in a transaction that was rolled back. Their time is not counted.']),
  ];
}

function sections(modes: Comparison['modes'], width: number): string[] {
  const heads = modes.map(({ mode, explanation: { method, status, total_ms } }) => [
    '',
    `${mode.toUpperCase()}  ${status} in ${milliseconds(total_ms)}${method === 'GET' ? '' : ' (sent once)'}`,
    '─'.repeat(width),
  ]);
  const names = modes[0]?.explanation.stages.map(({ stage }) => stage) ?? [];
  const rows = [...new Set(names)].map((name) =>
    modes.map(({ explanation: { stages, total_ms } }) => {
      const stage = stages.find((one) => one.stage === name);
      return stage ? stageLines(stage, total_ms) : [];
    }),
  );
  const replies = modes.map(({ reply }) => (reply === '' ? [] : [`  body: ${beginning(reply)}`]));
  const stops = modes.map(({ foreign_readers: readers }) => [
    ...(readers.length === 0 ? [] : ['', 'WHAT STOPS WHOM']),
    ...readers.flatMap(readerLines),
  ]);
  return [heads, ...rows, replies, stops].flatMap((cells) => row(cells, width));
}

function readerLines({ reader, attempts }: Reader): string[] {
  return [reader, ...attempts.flatMap(attemptLines)];
}

function attemptLines({ without, stopped_by, status, reason }: ReadAttempt): string[] {
  const head = without.length === 0 ? '' : 'with that layer off: ';
  const end = stopped_by === null ? 'REACHES THE FOREIGN ROW' : `stopped by: ${stopped_by}`;
  return [`  ${head}${end}`, `    ${status} ${reason}`.trimEnd()];
}

/** Puts cells side by side, each with its lines broken to the width. */
function row(cells: readonly string[][], width: number): string[] {
  const broken = cells.map((lines) => lines.flatMap((line) => wrapped(line, width)));
  const height = Math.max(...broken.map(({ length }) => length));
  return Array.from({ length: height }, (_, at) =>
    broken
      .map((lines) => (lines[at] ?? '').padEnd(width))
      .join(gap)
      .trimEnd(),
  );
}

/** Breaks a line at spaces, and indents what follows as deep as its text. */
export function wrapped(line: string, width: number): string[] {
  const depth = (/^[\s▶→←]*/.exec(line)?.[0].length ?? 0) + 2;
  const indent = ' '.repeat(Math.min(depth, Math.floor(width / 2)));
  const lines: string[] = [];
  // A value may hold the control characters of a terminal.
  let rest = line.replaceAll(/\p{Cc}/gu, ' ');
  while (rest.length > width) {
    const space = rest.lastIndexOf(' ', width);
    const at = space > indent.length ? space : width;
    lines.push(rest.slice(0, at));
    rest = indent + rest.slice(at).trimStart();
  }
  return [...lines, rest];
}

function stageLines({ stage, ms, decided, refused, calls }: ExplainedStage, totalMs: number) {
  const bar = '█'.repeat(Math.round((ms / totalMs) * 12));
  return [
    `${stage.padEnd(12)} ${milliseconds(ms).padStart(8)} ${bar}`,
    ...Object.entries(decided).map(([name, fact]) => `  ${name}: ${fact}`),
    ...(refused === null ? [] : [`  REFUSED: ${refused}`]),
    ...calls.flatMap(callLines),
    ...(stage === 'execute' && calls.length === 0 ? ['  no statement was sent'] : []),
  ];
}

function beginning(text: string): string {
  return text.length > replyChars ? `${text.slice(0, replyChars)}…` : text;
}

function callLines({ wait_ms, groups, plan }: ExplainedCall): string[] {
  const wait = wait_ms === null ? 'got no connection' : `waited ${milliseconds(wait_ms)}`;
  const planLines = plan?.map((line) => `  ${isPolicy(line) ? '▶' : ' '} ${line}`) ?? [];
  return [
    `  a connection: ${wait}`,
    ...groups.flatMap(groupLines),
    ...(plan ? ['  plan', ...planLines] : []),
  ];
}

function groupLines({ messages, ms, rows, tag, sqlstate }: ExplainedGroup): string[] {
  const took = ms === null ? '' : ` in ${milliseconds(ms)}`;
  const result = sqlstate ? `error ${sqlstate}` : `${tag} ${rows}, committed`;
  return [...joined(messages).flatMap(messageLines), `  ← ${result}${took}`];
}

/** Joins the messages of one statement: `Bind, Execute`. */
export function joined(messages: readonly ExplainedMessage[]): ExplainedMessage[] {
  const all: ExplainedMessage[] = [];
  for (const message of messages) {
    const last = all.at(-1);
    const goesOn = last && last.statement !== undefined && message.message !== 'Sync';
    const isSame = message.statement === undefined || message.statement === last?.statement;
    if (goesOn && isSame) {
      all.splice(-1, 1, { ...last, ...message, message: `${last.message}, ${message.message}` });
    } else all.push(message);
  }
  return all;
}

function messageLines({ message, statement, sql, parameters = [] }: ExplainedMessage): string[] {
  const text = sql?.replaceAll(/\s+/g, ' ').trim();
  return [
    `  → ${message}${statement ? ` ${statement}` : ''}`,
    ...(text ? [`      ${text}`] : []),
    ...parameters.map(({ name, value }) => `      ${name} = ${value ?? 'null'}`),
  ];
}

/** Whether a line of a plan compares rows with the tenant of the context. */
export function isPolicy(line: string): boolean {
  return line.includes('tenant_id = ');
}

export function milliseconds(ms: number): string {
  return `${ms.toFixed(ms < 10 ? 2 : 1)} ms`;
}
