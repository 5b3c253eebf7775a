/** The files of `sql/doctor` are for people with psql, too: their heads say all that is needed. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { lookInto } from '../../../src/control_plane/doctor/look.ts';
import { readDatabases } from '../../../src/control_plane/doctor/placements.ts';
import type { Variables } from '../../../src/control_plane/doctor/sql_checks.ts';
import { variablesOf } from '../../../src/control_plane/doctor/variables.ts';
import { type DoctorFixture, openDoctorFixture } from '../../support/doctor_fixture.ts';
import { findProgram, reportMissing } from '../../support/programs.ts';

const scopes =
  /^-- Run in: (the main database|each (server|database(, (as a superuser|for .+))?|session|placement))( \(|\.$)/m;

const names = (await readdir('sql/doctor')).filter((name) => name.endsWith('.sql'));

describe('the files of sql/doctor', () => {
  for (const name of names) {
    it(`say where they are run and name their variables: ${name}`, async () => {
      const text = await readFile(`sql/doctor/${name}`, 'utf8');
      const [head = '', ...queries] = text.split('\n\n');
      assert.match(head, scopes);
      const declared = new Set(head.slice(head.indexOf('-- Variables:')).match(/\w+/g));
      const used = queries.join('\n').matchAll(/(?<!:):'?([A-Za-z_]+)/g);
      const undeclared = [...used].map(([, variable = '']) => variable).filter(isOurs);
      assert.deepEqual(
        undeclared.filter((variable) => !declared.has(variable)),
        [],
      );
    });
  }
});

/** psql knows those in capitals by itself. */
function isOurs(variable: string): boolean {
  return variable !== variable.toUpperCase();
}

const psql = findProgram('psql');
if (!psql) reportMissing("psql on the doctor's files", 'needs psql (package postgresql-client)');
else describe("psql on the doctor's files", () => onPsql(psql));

function onPsql(program: string): void {
  let fixture: DoctorFixture;
  let variables: Variables;
  before(async () => {
    fixture = await openDoctorFixture();
    const setting_classes = await readFile('sql/doctor/setting_classes.json', 'utf8');
    variables = {
      ...(await readVariables(fixture)),
      setting_classes,
      schema: 'shared',
      known: '{}',
    };
  });
  after(() => fixture.close());

  /** Runs files in one session, and returns the lines of each. */
  async function run(...files: string[]): Promise<ReadonlyMap<string, string[]>> {
    const values = Object.entries(variables).flatMap(([key, value]) => ['-v', `${key}=${value}`]);
    const args = ['-X', '-A', '-t', '-v', 'ON_ERROR_STOP=1', ...values];
    const scripts = files.flatMap((file) => [
      '-c',
      `\\echo -- ${file}`,
      '-f',
      `sql/doctor/${file}`,
    ]);
    const { stdout } = await promisify(execFile)(program, [...args, ...scripts, fixture.url]);
    const parts = stdout.split(/^-- /m).slice(1);
    return new Map(
      parts.map((part) => {
        const [file = '', ...lines] = part.split('\n');
        return [file, lines.filter((line) => line !== '')];
      }),
    );
  }

  const checks = names.filter((file) => !['catalog.sql', 'sessions.sql'].includes(file));

  describe('on a fresh install', () => {
    let found: ReadonlyMap<string, string[]>;
    before(async () => {
      found = await run(...checks);
    });

    for (const name of checks) {
      it(`find nothing of ours: ${name}`, () => {
        const ours = found.get(name)?.filter((line) => !line.startsWith('foreign_database_open|'));
        assert.deepEqual(ours, []);
      });
    }
  });

  it('finds what the doctor finds', async () => {
    const { names: of, run: spoil, findings } = fixture;
    await spoil(of.main, `alter role ${of.app} bypassrls; grant ${of.owner} to ${of.serve}`);
    const found = (await findings()).map(({ check, severity, database, where, what, fix }) =>
      [check, severity, database, where, what, fix].join('|'),
    );
    const lines = (await run('roles.sql')).get('roles.sql') ?? [];
    assert.deepEqual(lines.toSorted(), found.sort());
    assert.equal(lines.length, 2);
  });

  it('lists the catalog', async () => {
    const lines = (await run('catalog.sql')).get('catalog.sql') ?? [];
    assert.ok(lines.some((line) => line.startsWith('shared|')));
  });
}

function readVariables({ services: { fleet } }: DoctorFixture): Promise<Variables> {
  return lookInto(fleet, fleet.installation.main, async (sql) =>
    variablesOf((await readDatabases(sql, fleet)).main, fleet),
  );
}
