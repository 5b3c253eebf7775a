/** Which test files share a process, and which processes are started first. */
import { readFileSync } from 'node:fs';

/**
 * The files whose paths begin so share a process: a short file takes most of its time for its imports.
 * They start no process of ours, change no setting of their own one, and measure nothing.
 */
const together: readonly (readonly string[])[] = [
  ['isolation/'],
  ['postgres/'],
  ['adapters/'],
  ['http/'],
  ['kernel/', 'mail/', 'measure/', 'observability/', 'prove/', 'routes/', 'server/', 'structure'],
  ['bench/', 'chaos/', 'cli/', 'config', 'explain/'],
];

/** The exceptions: they do. */
const alone: readonly string[] = [
  'bench/bench',
  'bench/children',
  'bench/options',
  'bench/rounds',
  'chaos/chaos',
  'cli/doctor',
  'cli/move',
  'cli/read_only',
  'cli/servers',
  'explain/explanations',
  'http/fuzz',
  'http/growable_buffer',
  'http/unread.',
  'postgres/kill',
  'postgres/session_settings',
  'postgres/stuck_backend',
  'postgres/tls',
  'postgres/unterminated_backends',
  'prove/prove',
];

/** A job that is started last and runs long would run alone. */
const longest: readonly string[] = [
  'e2e/older_postgres',
  'isolation/',
  'embedded_postgres/embedded_postgres',
  'prove/prove',
  'control_plane/moves/',
  'e2e/terminal',
  'cli/commands',
  'e2e/unusable_databases',
  'e2e/same_script',
  'chaos/chaos',
];

/** Groups the files by the process that they run in, the longest first. */
export function jobsOf(paths: readonly string[]): string[][] {
  const shared = together.map((parts) =>
    paths.filter((path) => isIn(path, parts) && canShare(path)),
  );
  const single = paths.filter((path) => !shared.flat().includes(path)).map((path) => [path]);
  const jobs = [...shared, ...single].filter((files) => files.length > 0);
  return jobs.toSorted((a, b) => rankOf(a) - rankOf(b));
}

/** Hooks outside of a suite would be called for the tests of the other files too. */
function canShare(path: string): boolean {
  const hasOwnHooks = /^(before|beforeEach|afterEach)\(/m.test(readFileSync(path, 'utf8'));
  return !hasOwnHooks && !isIn(path, alone);
}

function isIn(path: string, parts: readonly string[]): boolean {
  return parts.some((part) => path.startsWith(`test/${part}`));
}

function rankOf([path = '']: readonly string[]): number {
  const at = longest.findIndex((part) => isIn(path, [part]));
  return at < 0 ? longest.length : at;
}
