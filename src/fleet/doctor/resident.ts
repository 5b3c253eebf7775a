/** `kernel.tenant()` of a tenant's own database: whose it is, and the contexts that it takes. */
import type { Sql } from '../../kernel/ports.ts';
import { digestFor, type OwnPlace, withResident } from '../resident.ts';
import { examineBody, type Guarded } from './bodies.ts';
import type { Examined } from './examined.ts';
import { type Finding, finding } from './finding.ts';

/** Both are for the login to call, with its own rights. */
const guardedFunctions: readonly Guarded[] = ['tenant', 'no_context'].map((name) => ({
  check: 'seal_check_changed',
  schema: 'kernel',
  name,
  signature: `kernel.${name}()`,
  traits: 'false s ',
  gone: 'the tenant cannot be served',
}));

/** Whoever knows a context that is none of ours may use it where the login may connect. */
export async function examineResident(
  sql: Sql,
  examined: Examined,
  { place, text, accepted }: { place: OwnPlace; text: string; accepted: readonly Buffer[] },
): Promise<Finding[]> {
  const { database } = examined;
  const where = `function kernel.tenant() of database ${database}`;
  const ours = accepted.map((secret) => digestFor(place, secret));
  const mended = withResident(text, place, ours);
  if (await hasKeys(sql)) {
    const what = 'An older version made it; it is brought up to date when a server starts';
    const mend = `set search_path = kernel; ${mended} reset search_path`;
    return [finding('kernel_outdated', { database, where, what, mend })];
  }
  const digests = await readDigests(sql);
  const isOurs = digests.length > 0 && digests.every((digest) => ours.includes(digest));
  const texts = [isOurs ? withResident(text, place, digests) : mended];
  const findings: Finding[] = [];
  for (const guarded of guardedFunctions) {
    findings.push(...(await examineBody(sql, examined, { guarded, texts, anyBody: false })));
  }
  if (isOurs && digests.length > 1) {
    const what = `It takes ${digests.length} contexts; a rotation is under way, or was interrupted`;
    findings.push(
      finding('seal_rotation_open', { database, where, what, mend: 'npm run rotate-seals' }),
    );
  }
  return findings;
}

async function hasKeys(sql: Sql): Promise<boolean> {
  const [found] = await sql<{ table: string | null }>`
    select to_regclass('kernel.seal_keys')::text as table`;
  return found?.table !== null;
}

async function readDigests(sql: Sql): Promise<string[]> {
  const [found] = await sql<{ body: string }>`
    select prosrc as body from pg_proc where oid = to_regprocedure('kernel.tenant()')`;
  const literals = found?.body.matchAll(/'\\x([0-9a-f]{64})'/g) ?? [];
  return [...literals].map(([, digest = '']) => digest);
}
