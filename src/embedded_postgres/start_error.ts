/**
 * The error of a failed start: the reason and the next step, for the user. `main.ts` prints the message
 * without a stack.
 */

/** The embedded Postgres cannot run here, or not yet. */
export class StartError extends Error {
  override readonly name = 'StartError';

  /** @example new StartError('the disk is full; make room').message */
  constructor(what: string, cause?: unknown) {
    super(`Cannot start the embedded Postgres: ${what}`, { cause });
  }
}

const remedies: Readonly<Record<string, string>> = {
  EACCES: 'is closed to this user; open it, start as its owner, or set DATABASE_URL',
  EPERM: 'is closed to this user; open it, start as its owner, or set DATABASE_URL',
  EROFS: 'is read-only; move the project, or set DATABASE_URL',
  ENOSPC: 'does not fit on the disk; make room',
  EDQUOT: 'does not fit into the quota; make room',
};

/** Returns errors of the file system as a `StartError`, and any other error unchanged. */
export function explained(error: unknown, folder: string): unknown {
  if (!(error instanceof Error && 'code' in error && typeof error.code === 'string')) return error;
  const remedy = remedies[error.code];
  if (remedy === undefined) return error;
  const path = 'path' in error && typeof error.path === 'string' ? error.path : folder;
  return new StartError(`"${path}" ${remedy} (${error.code})`, error);
}
