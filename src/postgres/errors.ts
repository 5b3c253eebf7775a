/**
 * What a failed statement means to the caller, and whether its session can still be trusted. Codes
 * are those of PostgreSQL's appendix "Error Codes".
 */
import { IsolationViolation, Refusal, unavailable } from '../kernel/errors.ts';

/** No context, no transaction, read-only, an unknown prepared statement, a plan of other tables. */
const untrusted = new Set(['42501', '25P01', '25006', '26000', '0A000']);

/** Down, starting, stopping, full, cancelled by a timeout, or a lock that did not come. */
const passing = /^(08|53|57|58)|^55P03$|^55006$|^40P01$|^40001$|^25P0[34]$/;

/** The tenant goes just now: its tables or its registry row are no longer there. */
const going = new Set(['42P01', '3F000', '23503']);

const socketFaults = new Set([
  'ECONNREFUSED',
  // A Unix socket whose server is stopped, and one whose queue is full.
  'ENOENT',
  'EAGAIN',
  'ECONNRESET',
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EAI_AGAIN',
]);

/**
 * True when whatever runs next in this session might run in the wrong context. Only an error that
 * the server itself has sent, and that leaves its session alive, says that nothing got out of step.
 */
export function poisonsConnection(error: unknown): boolean {
  return severityOf(error) !== 'ERROR' || untrusted.has(codeOf(error));
}

/** True when the server has said that the session's backend ends: it says so as its last word. */
export function endsBackend(error: unknown): boolean {
  return severityOf(error) === 'FATAL';
}

/** The error as a refusal where the caller can do something about it, else as it is. */
export function asRefusal(error: unknown): unknown {
  const code = codeOf(error);
  if (error instanceof Refusal || code === '') return error;
  if (code === '23505')
    return new Refusal('conflict', { detail: 'It exists already', cause: error });
  const sessionRefused = severityOf(error) === 'FATAL' && !untrusted.has(code);
  if (socketFaults.has(code) || passing.test(code) || sessionRefused) {
    return unavailable('The database is not available', error);
  }
  if (going.has(code)) return unavailable('The tenant is being changed', error);
  return error;
}

/** An error of a tenant's own statement: one for want of a right is a matter for the trail. */
export function asViolation(error: unknown): unknown {
  return error instanceof Error && codeOf(error) === '42501'
    ? new IsolationViolation(error)
    : error;
}

export function codeOf(error: unknown): string {
  if (error instanceof IsolationViolation) return codeOf(error.cause);
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : '';
}

function severityOf(error: unknown): unknown {
  return error instanceof Error && 'severity' in error ? error.severity : undefined;
}
