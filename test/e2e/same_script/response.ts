/**
 * The content of an answer, without the parts that depend on the connection, the time or the budget
 * that is left.
 */
import type { Answer } from '../../support/client.ts';

/** A model's answer has the headers and members that the contract mentions, and no others. */
export type ScriptReply = {
  status: number;
  headers: Readonly<Record<string, string>>;
  /** Absent when the contract says nothing about it. */
  body?: unknown;
};

/** Stands for a value that cannot be compared: only the presence of the header counts. */
export const present = '(present)';

/** They belong to one connection and not to the answer (RFC 9110, section 7.6.1). */
const hopByHop = new Set(['connection', 'keep-alive', 'transfer-encoding']);

/** The length varies with the digits of a time and with the tenant's slug. */
const variable = new Set([
  'content-length',
  'date',
  'etag',
  'link',
  'ratelimit',
  'x-ratelimit-remaining',
  'x-ratelimit-reset',
]);

/** A server's answer; lists without a defined order are sorted. */
export function replyOf({ status, headers, body }: Answer): ScriptReply {
  const shown = Object.entries(headers)
    .filter(([name]) => !hopByHop.has(name))
    .map(([name, value]) => [name, headerValue(name, String(value))]);
  return { status: status ?? 0, headers: Object.fromEntries(shown), body: withSortedErrors(body) };
}

/**
 * The part of `value` that `model` covers: fields and headers may be added freely.
 *
 * @example narrowed({ id: 1, more: 2 }, { id: 7 }) // { id: 1 }
 */
export function narrowed(value: unknown, model: unknown): unknown {
  if (Array.isArray(value) && Array.isArray(model) && value.length === model.length) {
    return value.map((item, at) => narrowed(item, model[at]));
  }
  if (!isRecord(value) || !isRecord(model)) return value;
  const names = Object.keys(model);
  return Object.fromEntries(names.map((name) => [name, narrowed(value[name], model[name])]));
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function headerValue(name: string, value: string): string {
  if (variable.has(name)) return present;
  return name === 'allow' ? value.split(', ').sort().join(', ') : value;
}

function withSortedErrors(body: unknown): unknown {
  if (!isRecord(body) || !Array.isArray(body.errors)) return body;
  const pathOf = (error: unknown) => (isRecord(error) ? String(error.path) : '');
  const errors = body.errors.toSorted((one, two) => (pathOf(one) < pathOf(two) ? -1 : 1));
  return { ...body, errors };
}
