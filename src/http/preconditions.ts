/**
 * Preconditions of a request (RFC 9110, section 13). `If-Match` prevents lost updates; `If-None-Match`
 * saves a client from fetching the same representation again. A tag is a hash of the representation.
 */
import { hash } from 'node:crypto';
import { Refusal } from '../kernel/errors.ts';
import type { Reply } from '../kernel/ports.ts';
import { headerValues, type RawHeaders } from './header_values.ts';

/** The two headers. Several lines of one header are joined; null when it was not sent. */
export type Preconditions = { ifMatch: string | null; ifNoneMatch: string | null };

/** Returns null when the request has none. */
export function preconditionsIn(raw: RawHeaders): Preconditions | null {
  const ifMatch = headerValues(raw, 'if-match');
  const ifNoneMatch = headerValues(raw, 'if-none-match');
  if (ifMatch.length + ifNoneMatch.length === 0) return null;
  return { ifMatch: joined(ifMatch), ifNoneMatch: joined(ifNoneMatch) };
}

/**
 * Returns the strong tag of a representation: 128 bits of its hash, so equal tags mean equal bytes.
 *
 * @example entityTag('{"name":"Rex"}') // '"…"', 22 characters in quotes
 */
export function entityTag(body: string): string {
  return `"${hash('sha256', body, 'base64url').slice(0, 22)}"`;
}

/**
 * Checks the preconditions of a change.
 *
 * @param tag Null when there is no such resource, or it has no representation that a client could know.
 * @throws {Refusal} `precondition_failed`.
 */
export function assertChangeable(
  { ifMatch, ifNoneMatch }: Preconditions,
  tag: string | null,
): void {
  if (ifMatch !== null && !names(ifMatch, tag)) throw preconditionFailed();
  const isKnown = ifNoneMatch !== null && tag !== null && namesWeakly(ifNoneMatch, tag);
  if (isKnown) throw preconditionFailed();
}

/**
 * Returns the reply to a GET, or 304 when the client has that representation.
 *
 * @throws {Refusal} `precondition_failed` for an `If-Match` that names another tag.
 */
export function unlessKnown({ ifMatch, ifNoneMatch }: Preconditions, reply: Reply): Reply {
  const tag = reply.headers?.etag ?? null;
  // `*` needs no tag: there is something to reply with.
  if (ifMatch !== null && !anyTag.test(ifMatch) && !names(ifMatch, tag)) throw preconditionFailed();
  if (tag === null || ifNoneMatch === null || !namesWeakly(ifNoneMatch, tag)) return reply;
  return { status: 304, headers: { etag: tag }, body: null };
}

/** Returns the refusal of a change whose precondition does not hold: 412. */
export function preconditionFailed(): Refusal {
  return new Refusal('precondition_failed', {
    detail: 'The resource is not in the state that the request expects; read it again',
  });
}

const anyTag = /^\s*\*\s*$/;

const tags = /(?:W\/)?"[!#-~\x80-\xff]*"/g;

/** Strong comparison: a weak tag matches nothing (RFC 9110, section 8.8.3.2). */
function names(list: string, tag: string | null): boolean {
  if (tag === null) return false;
  return anyTag.test(list) || tagsIn(list).includes(tag);
}

/** Weak comparison: a proxy that compresses replies makes their tags weak. */
function namesWeakly(list: string, tag: string): boolean {
  return anyTag.test(list) || tagsIn(list).some((one) => one.replace(/^W\//, '') === tag);
}

function tagsIn(list: string): readonly string[] {
  return list.match(tags) ?? [];
}

function joined(values: readonly string[]): string | null {
  return values.length === 0 ? null : values.join();
}
