/** `kernel.tenant()` of a tenant's own database: whose it is, and the contexts that it takes. */
import type { Sql } from '../../kernel/ports.ts';
import type { SqlFiles } from '../fleet.ts';
import { digestFor, type OwnPlace, withResident } from '../resident.ts';
import { examineBody, type Guarded, sealCheck } from './bodies.ts';
import type { Examined } from './examined.ts';
import { type Finding, finding, quoted } from './finding.ts';

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
  { place, files, accepted }: { place: OwnPlace; files: SqlFiles; accepted: readonly Buffer[] },
): Promise<Finding[]> {
  const { database } = examined;
  const where = `function kernel.tenant() of database ${database}`;
  if (await isOld(sql, examined, files)) {
    const what = 'An older version made it; the next start of a server brings it up to date';
    return [finding('kernel_outdated', { database, where, what, mend: 'npm run rotate-seals' })];
  }
  const ours = accepted.map((secret) => digestFor(place, secret));
  const [current = ''] = ours;
  const digests = await readDigests(sql);
  const fits = digests.includes(current) && digests.every((digest) => ours.includes(digest));
  const texts = [withResident(files.own, place, fits ? digests : ours)];
  const findings: Finding[] = [];
  for (const guarded of guardedFunctions) {
    findings.push(...(await examineBody(sql, examined, { guarded, texts, anyBody: false })));
  }
  if (fits && digests.length > 1) {
    const what = `It takes ${digests.length} contexts; a rotation is under way, or was interrupted`;
    const mend = 'npm run rotate-seals';
    findings.push(finding('seal_rotation_open', { database, where, what, mend }));
  }
  if (!(await mayBeCalled(sql, place.role))) {
    const what = 'Its tenant may not call it, and cannot be served';
    const login = quoted(place.role);
    const mend = `grant usage on schema kernel to ${login};
      grant execute on function kernel.tenant(), kernel.no_context() to ${login}`;
    findings.push(finding('seal_check_changed', { database, where, what, mend }));
  }
  return findings;
}

/** Whether it is, to the letter, what the main database has: so it was before 2026-11-28. */
async function isOld(sql: Sql, examined: Examined, { kernel }: SqlFiles): Promise<boolean> {
  const texts = kernel.map(({ text }) => text);
  const differences = await examineBody(sql, examined, {
    guarded: sealCheck,
    texts,
    anyBody: false,
  });
  return differences.length === 0;
}

async function readDigests(sql: Sql): Promise<string[]> {
  const [found] = await sql<{ body: string }>`
    select prosrc as body from pg_proc where oid = to_regprocedure('kernel.tenant()')`;
  const literals = found?.body.matchAll(/'([0-9a-f]{64})'/g) ?? [];
  return [...literals].map(([, digest = '']) => digest);
}

/** Also true when it is not there, which is another finding. */
async function mayBeCalled(sql: Sql, role: string): Promise<boolean> {
  const [found] = await sql<{ may: boolean | null }>`
    select bool_and(
      has_function_privilege(${role}, oid, 'execute') and has_schema_privilege(${role}, 'kernel', 'usage')
    ) as may
    from pg_proc
    where oid in (to_regprocedure('kernel.tenant()'), to_regprocedure('kernel.no_context()'))`;
  return found?.may !== false;
}
