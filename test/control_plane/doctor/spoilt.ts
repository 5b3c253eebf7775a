/** A row of a doctor's table: a breaking statement, and the one finding that it must cause. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { knownWarnings } from '../../../src/control_plane/doctor/accepted.ts';
import { oneLine } from '../../../src/control_plane/doctor/one_line.ts';
import { readSql } from '../../../src/control_plane/migrations/sql_text.ts';
import { type DoctorFixture, type Names, openDoctorFixture } from '../../support/doctor_fixture.ts';

export type Spoilt = {
  spoil: (names: Names) => string;
  where: (names: Names) => string;
  /** In which database; the main one unless it is said. */
  in?: (names: Names) => string;
  /** What a superuser does where the finding has nothing to paste. */
  fix?: (names: Names) => string;
  /** Whether the row's own finding must have no fix, because a person has to decide. */
  decided?: true;
  /** Whether it would change how the files are run to make the references. */
  references?: 'new';
  /** One fault that is found as several: the row's own is among them. */
  among?: true;
  /** What the spoiling left behind that is no finding. */
  sweep?: (names: Names) => string;
};

type Table = Readonly<Record<string, Readonly<Record<string, Spoilt>>>>;

/** One installation for all tables of a test file. */
let opened: Promise<DoctorFixture> | undefined;

function openOnce(): Promise<DoctorFixture> {
  opened ??= openDoctorFixture();
  return opened;
}

after(async () => (await opened)?.close());

/**
 * Each is spoilt, found as exactly this, fixed by the finding's own statement, and gone: the next one
 * is found alone, and nothing after the last.
 *
 * @param looks only into the database that is spoilt, for faults that no other one can show.
 */
export function findsEach(
  subject: string,
  table: Table,
  looks: 'everywhere' | 'there' = 'everywhere',
) {
  describe(`the doctor, of ${subject}`, () => {
    let fixture: DoctorFixture;
    before(async () => {
      fixture = await openOnce();
    });

    for (const [check, rows] of Object.entries(table)) {
      for (const [name, row] of Object.entries(rows)) {
        it(`finds ${check} in ${name}`, () => findsOne(fixture, { check, row, looks }));
      }
    }

    it('finds nothing when all is fixed', async () =>
      assert.deepEqual(await fixture.findings(), []));
  });
}

/** Each is done, found to be harmless, and undone. */
export function findsNothingIn(
  subject: string,
  table: Readonly<Record<string, Pick<Spoilt, 'spoil'> & Required<Pick<Spoilt, 'fix'>>>>,
) {
  describe(`the doctor, of harmless ${subject}`, () => {
    let fixture: DoctorFixture;
    before(async () => {
      fixture = await openOnce();
    });

    for (const [name, { spoil, fix }] of Object.entries(table)) {
      it(`finds nothing in ${name}`, async () => {
        const { names, run, findings } = fixture;
        await run(names.main, spoil(names));
        const found = await findings();
        await run(names.main, fix(names));
        assert.deepEqual(found, []);
      });
    }
  });
}

async function findsOne(
  { names, run, findings, findingsIn }: DoctorFixture,
  { check, row, looks }: { check: string; row: Spoilt; looks: 'everywhere' | 'there' },
) {
  const database = row.in?.(names) ?? names.main;
  const look = () => (looks === 'there' ? findingsIn(database) : findings(row.references));
  await run(database, row.spoil(names));
  const found = await look();
  const wanted = [check, row.where(names)];
  const warnings = await knownWarnings();
  for (const { check: one, severity } of found) {
    assert.equal(warnings.has(one), severity === 'warning', one);
  }
  const named = found.map((finding) => [finding.check, finding.where]);
  if (row.among) assert.ok(named.some(([one, where]) => one === check && where === wanted[1]));
  else assert.deepEqual(named, [wanted]);
  const own = found.find((finding) => finding.check === check && finding.where === wanted[1]);
  if (row.decided) assert.equal(own?.fix, null);
  const fixes = row.fix
    ? [{ database, fix: row.fix(names) }]
    : found.map((finding) => ({ database: finding.database, fix: finding.fix }));
  for (const { database: where, fix } of fixes) {
    assert.ok(fix);
    if (!row.fix) assertAtomic(oneLine(fix));
    await run(where, oneLine(fix));
  }
  if (row.among) assert.deepEqual(await look(), []);
  if (row.sweep) await run(database, row.sweep(names));
}

/** psql commits each statement, so several must be one transaction: the first may take what the last gives. */
function assertAtomic(fix: string) {
  const statements = readSql(fix).statements.map(({ words }) => words.join(' '));
  if (statements.length === 1) return;
  assert.deepEqual([statements.at(0), statements.at(-1)], ['begin', 'commit'], fix);
}
