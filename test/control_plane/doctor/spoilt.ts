/** What a row of a doctor's table says: a statement that spoils, and the one finding it must lead to. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Check } from '../../../src/control_plane/doctor/finding.ts';
import { type Names, openWard, type Ward } from '../../support/doctor_fixture.ts';

export type Spoilt = {
  spoil: (names: Names) => string;
  where: (names: Names) => string;
  /** In which database; the main one unless it is said. */
  in?: (names: Names) => string;
  /** What a superuser does where the finding has nothing to paste. */
  mend?: (names: Names) => string;
  /** One fault that is found as several: the row's own is among them. */
  among?: true;
  /** What the spoiling left behind that is no finding. */
  sweep?: (names: Names) => string;
};

/**
 * Each is spoilt, found as exactly this, mended by the finding's own statement, and gone: the next one
 * is found alone, and nothing after the last.
 */
export function findsEach(
  table: Readonly<Partial<Record<Check, Readonly<Record<string, Spoilt>>>>>,
) {
  describe('the doctor', () => {
    let ward: Ward;
    before(async () => {
      ward = await openWard();
    });
    after(() => ward.close());

    for (const [check, rows] of Object.entries(table)) {
      for (const [name, row] of Object.entries(rows)) {
        it(`finds ${check} in ${name}`, () => findsOne(ward, check, row));
      }
    }

    it('finds nothing when all is mended', async () => assert.deepEqual(await ward.findings(), []));
  });
}

async function findsOne({ names, run, findings }: Ward, check: string, row: Spoilt) {
  const database = row.in?.(names) ?? names.main;
  await run(database, row.spoil(names));
  const found = await findings();
  const wanted = [check, row.where(names)];
  const named = found.map((finding) => [finding.check, finding.where]);
  if (row.among) assert.ok(named.some(([one, where]) => one === check && where === wanted[1]));
  else assert.deepEqual(named, [wanted]);
  const mends = row.mend
    ? [{ database, mend: row.mend(names) }]
    : found.map((finding) => ({ database: finding.database, mend: finding.fix }));
  for (const { database: where, mend } of mends) {
    assert.ok(mend);
    await run(where, mend);
  }
  if (row.among) assert.deepEqual(await findings(), []);
  if (row.sweep) await run(database, row.sweep(names));
}
