/**
 * Shows messages to Postgres: parameters get names, and secrets are shortened before anything is kept.
 */
import { constantStatements } from '../postgres/envelope.ts';
import { type SentMessage, sentMessages } from '../postgres/protocol/sent_messages.ts';
import type { ExplainedMessage } from './explanation.ts';

export type MessageLimits = {
  /** The messages of one group. */
  messages: number;
  /** The characters of a value, and of a statement. */
  valueChars: number;
  sqlChars: number;
};

/** @param sql the statement of the group, which is not sent again when it is prepared already. */
export function explainedMessages(
  bytes: Uint8Array,
  sql: string | null,
  limits: MessageLimits,
): ExplainedMessage[] {
  const sent = sentMessages(bytes).slice(0, limits.messages);
  return sent.map((message) => explained(message, sql, limits));
}

function explained(
  { message, statement, text, values }: SentMessage,
  sql: string | null,
  limits: MessageLimits,
): ExplainedMessage {
  const constant = Object.entries(constantStatements).find(([name]) => name === statement)?.[1];
  const bound = values ? (constant ?? sql) : null;
  const shown = text ?? bound;
  return {
    message,
    ...(statement === undefined ? {} : { statement }),
    ...(shown ? { sql: shortened(shown, limits.sqlChars) } : {}),
    ...(values ? { parameters: named(bound ?? '', values, limits) } : {}),
  };
}

function named(sql: string, values: readonly (string | null)[], { valueChars }: MessageLimits) {
  const names = parameterNames(sql);
  return values.map((value, at) => ({
    name: names.get(at + 1) ?? `$${at + 1}`,
    value: value === null ? null : shortened(value, valueChars),
  }));
}

const namings = [
  /set_config\('([\w.]+)', \$(\d+)/g,
  /(\w+)(?:::\w+)? (?:=|<=?|>=?) (?:coalesce\(|any ?\()?\$(\d+)/g,
  /\b(limit) \$(\d+)/g,
];

const insertion = /insert into \w+(?: as \w+)? \(([^)]*)\)\s*values \(([^)]*)/;

/** Names parameters after the columns or settings that they are compared with, or written to. */
function parameterNames(sql: string): Map<number, string> {
  const names = new Map<number, string>();
  for (const naming of namings) {
    for (const [, name = '', number] of sql.matchAll(naming)) names.set(Number(number), name);
  }
  const [, columns = '', inserted = ''] = insertion.exec(sql) ?? [];
  const columnNames = columns.split(',');
  for (const [at, value] of inserted.split(',').entries()) {
    const [, number] = /^\s*\$(\d+)/.exec(value) ?? [];
    if (number) names.set(Number(number), columnNames[at]?.trim() ?? '');
  }
  return names;
}

/** Macs, digests, secrets and generated tokens. Ids have dashes, or 32 digits in the name of a schema. */
const secrets = /[0-9a-f]{40,}/gi;

/** All other secrets that reach Postgres are binary. */
const binary = /^\\x([0-9a-f]{4})[0-9a-f]+$/;

/** Returns a text without secrets, of which four characters are left, and cut to a length. */
export function shortened(text: string, maxChars: number): string {
  const safe = text
    .replace(binary, '\\x$1…')
    .replaceAll(secrets, (secret) => `${secret.slice(0, 4)}…`);
  // Through bytes, because a slice would keep the whole text in memory.
  return safe.length > maxChars ? `${Buffer.from(safe.slice(0, maxChars))}…` : safe;
}
