/**
 * A process that opens sessions, some at once, and reports the result for each URL of its
 * arguments: Node reads its trusted certificates when it starts, and an unhandled error would end
 * it.
 */
import { openSession } from '../../src/postgres/connect.ts';
import { codeOf } from '../../src/postgres/errors.ts';
import { connectionLimits } from './connection.ts';

const atOnce = 8;

for (const url of process.argv.slice(2)) {
  const outcomes = await Promise.all(Array.from({ length: atOnce }, () => outcomeOf(url)));
  process.stdout.write(`${[...new Set(outcomes)].join()}\n`);
}

async function outcomeOf(url: string): Promise<string> {
  try {
    const { socket } = await openSession(url, connectionLimits);
    socket.destroy();
    return 'opened';
  } catch (error) {
    return reasonOf(error);
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  if (cause instanceof Error) return codeOf(cause.cause) || codeOf(cause) || cause.message;
  return error.message;
}
