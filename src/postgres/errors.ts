/**
 * Classifies errors of statements: which error the caller gets, and whether the session can be used again.
 * The codes are those of PostgreSQL's appendix "Error Codes".
 */
import { IsolationViolation, Refusal, unavailable } from '../kernel/errors.ts';

/** No context, no transaction, read-only, an unknown prepared statement, a plan for other tables. */
const untrusted = new Set(['42501', '25P01', '25006', '26000', '0A000']);

/** Down, starting, stopping, full, cancelled by a timeout, or a lock timeout. */
const transient = /^(08|53|57|58)|^55P03$|^55006$|^40P01$|^40001$|^25P0[34]$/;

/** The tenant is being deleted: its tables or its registry row are gone. */
const deleted = new Set(['42P01', '3F000', '23503']);

/** The fence of a tenant that has moved, in sql/kernel. */
const fence = 'KN001';

/** A server that is drained or removed, in sql/control. */
const serverClosed = 'KN002';

/** A fence, or no tables, schema, database or login: in each case the statement did not run. */
const placementGone = new Set([fence, '42P01', '3F000', '3D000', '28P01', '28000']);

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
 * Whether the next statement of the session might run in a wrong context. Only an error that the server
 * itself has sent, and after which the session goes on, proves that the session is in order.
 */
export function poisonsConnection(error: unknown): boolean {
  return severityOf(error) !== 'ERROR' || untrusted.has(codeOf(error));
}

/** Whether the error says that the backend ends. It is the backend's last message. */
export function endsBackend(error: unknown): boolean {
  return severityOf(error) === 'FATAL';
}

/** Returns a refusal if the caller can react to the error, otherwise the error itself. */
export function asRefusal(error: unknown): unknown {
  const code = codeOf(error);
  if (error instanceof Refusal || code === '') return error;
  if (code === '23505')
    return new Refusal('conflict', { detail: 'The resource exists already', cause: error });
  const sessionRefused = severityOf(error) === 'FATAL' && !untrusted.has(code);
  if (socketFaults.has(code) || transient.test(code) || sessionRefused) {
    return unavailable('The database is not available; try again later', error);
  }
  if (code === fence) return unavailable('The tenant is being moved; try again later', error);
  if (code === serverClosed) {
    const detail = 'The server of the tenant is being drained or removed; try again later';
    return new Refusal('conflict', { detail, cause: error });
  }
  if (deleted.has(code))
    return unavailable('The tenant is being moved or deleted; try again later', error);
  return error;
}

/** Whether a fence has refused the statement: its tenant has moved, or is about to. It did not run. */
export function isBehindFence(error: unknown): boolean {
  return error instanceof Refusal && codeOf(error.cause) === fence;
}

/** Whether a statement did not run because the placement is gone, or is behind a fence. */
export function isPlacementGone(error: unknown): boolean {
  return error instanceof Refusal && placementGone.has(codeOf(error.cause));
}

/** Whether no session could be opened because the server does not answer, starts or stops. */
export function isUnreachable(error: unknown): boolean {
  const cause = causeOf(error);
  return severityOf(cause) === undefined || codeOf(cause) === '57P03';
}

/** Whether nothing at all has answered: no host, no listener, or no reply in time. */
export function isSilence(error: unknown): boolean {
  const code = codeOf(causeOf(error));
  // A Unix socket whose queue is full has a listener.
  return socketFaults.has(code) && code !== 'EAGAIN';
}

/** Returns the error of a tenant's statement. A missing right becomes a violation, which the trail records. */
export function asViolation(error: unknown): unknown {
  return error instanceof Error && codeOf(error) === '42501'
    ? new IsolationViolation(error)
    : error;
}

/** Returns the error of the server or the socket behind a refusal or a violation. */
export function causeOf(error: unknown): Error {
  if (!(error instanceof Error)) return new Error(String(error));
  return error.cause instanceof Error ? error.cause : error;
}

/** Returns the SQLSTATE, or the code of a socket error, or an empty string. */
export function codeOf(error: unknown): string {
  if (error instanceof IsolationViolation) return codeOf(error.cause);
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : '';
}

function severityOf(error: unknown): unknown {
  return error instanceof Error && 'severity' in error ? error.severity : undefined;
}
