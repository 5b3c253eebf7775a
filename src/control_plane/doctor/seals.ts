/**
 * Checks which seals a database accepts: those of one secret of ours, or of two during a rotation. A person
 * who knows the secret of any other seal could use each tenant's context.
 */
import type { Sql } from '../../kernel/ports.ts';
import { schemas, sealKeyOf } from '../../postgres/installation.ts';
import type { DedicatedPlacement } from '../../postgres/placement.ts';
import { pads } from '../../postgres/seal.ts';
import { digestFor } from '../provisioning/dedicated_context.ts';
import { type Finding, finding } from './finding.ts';
import type { ExaminedDatabase } from './placements.ts';

type Key = { slot: number; inner: Buffer; outer: Buffer };

/**
 * Checks the seals of a database.
 *
 * @returns also the digests of contexts that `kernel.tenant()` of a tenant's own database should contain.
 * The comparison with the reference reports all others.
 */
export async function examineSeals(
  sql: Sql,
  { name, dedicated }: Pick<ExaminedDatabase, 'name' | 'dedicated'>,
  accepted: readonly Buffer[],
): Promise<{ digests: readonly string[]; findings: Finding[] }> {
  if (!dedicated)
    return { digests: [], findings: examinedKeys(await readKeys(sql), name, accepted) };
  const ours = accepted.map((secret) => digestFor(dedicated, secret));
  const [current = ''] = ours;
  const digests = await readDigests(sql);
  const fits = digests.includes(current) && digests.every((digest) => ours.includes(digest));
  if (!fits) return { digests: ours, findings: [] };
  if (digests.length === 1) return { digests, findings: [] };
  const where = `function kernel.tenant() of database ${name}`;
  return {
    digests,
    findings: [rotationOpen(name, where, `It accepts ${digests.length} contexts`)],
  };
}

/**
 * Returns the placement of a tenant's own database in the generation that it accepts: while the tenant moves,
 * the fence makes that the next one.
 */
export async function fencedPlacement(
  sql: Sql,
  { dedicated, placements }: Pick<ExaminedDatabase, 'dedicated' | 'placements'>,
  [current]: readonly Buffer[],
): Promise<DedicatedPlacement | null> {
  if (!dedicated || !current || !placements.some(({ capture }) => capture !== null)) {
    return dedicated;
  }
  const fenced = { ...dedicated, generation: dedicated.generation + 1 };
  const digests = await readDigests(sql);
  return digests.includes(digestFor(fenced, current)) ? fenced : dedicated;
}

function examinedKeys(
  keys: readonly Key[],
  database: string,
  accepted: readonly Buffer[],
): Finding[] {
  const known = accepted.map((secret) => pads(sealKeyOf(secret, database)));
  const foreign = keys.filter(
    (key) => !known.some(({ inner, outer }) => inner.equals(key.inner) && outer.equals(key.outer)),
  );
  const where = `seal keys of database ${database}`;
  if (foreign.length > 0) {
    const slots = foreign.map(({ slot }) => slot).join(', ');
    const what = `The keys in slot ${slots} are from no secret of Kennel, so others may make seals`;
    const fix =
      foreign.length < keys.length
        ? `delete from kernel.seal_keys where slot in (${slots})`
        : 'npm run rotate-seals';
    return [finding('seal_key_foreign', { database, where, what, fix })];
  }
  if (keys.length === 0) {
    const what = 'It has no key, so it refuses every statement of a tenant';
    return [finding('seal_key_missing', { database, where, what, fix: 'npm run rotate-seals' })];
  }
  return keys.length === 1 ? [] : [rotationOpen(database, where, `It has ${keys.length} keys`)];
}

function rotationOpen(database: string, where: string, keys: string): Finding {
  const what = `${keys}; a rotation is under way, or was interrupted`;
  return finding('seal_rotation_open', { database, where, what, fix: 'npm run rotate-seals' });
}

async function readKeys(sql: Sql): Promise<Key[]> {
  const [present] = await sql<{ table: string | null }>`
    select to_regclass(${`${schemas.kernel}.seal_keys`})::text as table`;
  if (!present?.table) return [];
  return sql<Key>`
    select slot, inner_pad as inner, outer_pad as outer
    from kernel.seal_keys
    order by slot`;
}

async function readDigests(sql: Sql): Promise<string[]> {
  const rows = await sql<{ digest: string }>`
    select found[1] as digest
    from pg_proc
      cross join regexp_matches(prosrc, '''([0-9a-f]{64})''', 'g') as found
    where pg_proc.oid = to_regprocedure('kernel.tenant()')`;
  return rows.map(({ digest }) => digest);
}
