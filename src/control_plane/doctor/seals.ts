/** Checks the seal keys of a database: one that is derived from our secrets, or two during a rotation. */
import type { Sql } from '../../kernel/ports.ts';
import { schemas, sealKeyOf } from '../../postgres/installation.ts';
import { pads } from '../../postgres/seal.ts';
import { type Finding, finding } from './finding.ts';

type Key = { slot: number; inner: Buffer; outer: Buffer };

/** Reports a key that is not ours: a person with its secret could seal any tenant's context. */
export async function examineSealKeys(
  sql: Sql,
  database: string,
  accepted: readonly Buffer[],
): Promise<Finding[]> {
  const keys = await readKeys(sql);
  const known = accepted.map((secret) => pads(sealKeyOf(secret, database)));
  const foreign = keys.filter(
    (key) => !known.some(({ inner, outer }) => inner.equals(key.inner) && outer.equals(key.outer)),
  );
  const where = `seal keys of database ${database}`;
  if (foreign.length > 0) {
    const slots = foreign.map(({ slot }) => slot).join(', ');
    const what = `Of slot ${slots} it holds what no secret of ours gives: others may make seals`;
    const fix =
      foreign.length < keys.length
        ? `delete from kernel.seal_keys where slot in (${slots})`
        : 'npm run rotate-seals';
    return [finding('seal_key_foreign', { database, where, what, fix })];
  }
  if (keys.length === 1) return [];
  return [
    finding('seal_rotation_open', {
      database,
      where,
      what: `There are ${keys.length}; a rotation is under way, or was interrupted`,
      fix: 'npm run rotate-seals',
    }),
  ];
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
