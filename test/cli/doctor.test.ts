import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type DoctorFixture, openDoctorFixture } from '../support/doctor_fixture.ts';
import { runCommand } from '../support/run_command.ts';

describe('npm run doctor', () => {
  let fixture: DoctorFixture;
  before(async () => {
    fixture = await openDoctorFixture();
  });
  after(() => fixture.close());

  /** Without the findings about other tests' databases on the same server. */
  async function doctor(...words: string[]) {
    const { code, out, err } = await runCommand('doctor', words, { DATABASE_URL: fixture.url });
    const findings = out.split(/^(?=warning |error |\d+ errors?, )/m);
    const ours = findings.filter((text) => !text.startsWith('warning foreign_database_open'));
    return { code, findings: ours, err };
  }

  it('exits with 0 without findings', async () => {
    const { code, findings, err } = await doctor();
    assert.equal(code, 0, err);
    assert.match(findings.join(), /^0 errors, \d+ warnings?\n$/);
  });

  it('exits with 0 for warnings alone', async () => {
    const { main } = fixture.names;
    await fixture.run(main, `alter database ${main} set log_statement = 'all'`);
    const { code, findings, err } = await doctor();
    assert.equal(code, 0, err);
    assert.match(
      findings[0] ?? '',
      /^warning statements_logged: setting log_statement of database/,
    );
    await fixture.run(main, `alter database ${main} reset log_statement`);
  });

  it('names every error with its fix, and exits with 1', async () => {
    const { main, own, app } = fixture.names;
    await fixture.run(main, `alter role ${app} bypassrls`);
    await fixture.run(own, 'alter table tenant.pets no force row level security');
    const { code, findings, err } = await doctor();
    assert.equal(code, 1, err);
    assert.deepEqual(findings.slice(0, -1), [
      `error role_overprivileged: role ${app}\n` +
        '  It may do too much (bypassrls)\n' +
        `  in database ${main}, as a superuser: alter role ${app} nosuperuser nobypassrls nocreatedb nocreaterole noreplication\n`,
      `error row_security_changed: row security of table tenant.pets of database ${own}\n` +
        '  It is "enabled not forced", and should be "enabled forced"\n' +
        `  in database ${own}, as a superuser: alter table tenant.pets enable row level security, force row level security\n`,
    ]);
    assert.match(findings.at(-1) ?? '', /^2 errors, \d+ warnings?\n$/);
  });

  it('hides an accepted warning until the acceptance is withdrawn', async () => {
    const { main } = fixture.names;
    await fixture.run(main, `alter database ${main} set log_statement = 'all'`);
    const accepted = await doctor('--accept', 'statements_logged');
    assert.doesNotMatch(accepted.findings.join(), /statements_logged/);
    assert.match(accepted.findings.join(), /\d+ warnings? \(\d+ more accepted\)/);
    assert.match(
      (await doctor('--withdraw', 'statements_logged')).findings.join(),
      /statements_logged/,
    );
    await fixture.run(main, `alter database ${main} reset log_statement`);
  });

  it('refuses to accept an error', async () => {
    const { code, err } = await doctor('--accept', 'role_overprivileged');
    assert.equal(code, 2, err);
    assert.match(err, /Cannot accept "role_overprivileged": no warning has that name/);
  });

  it('refuses an unknown word in one line', async () => {
    const { code, err } = await doctor('everything');
    assert.equal(code, 2, err);
    assert.match(err, /^kennel: Cannot do "everything": use verify-audit, or no action .+\n$/);
    const wrong = await doctor('verify-audit', '--tenant', 'A B');
    assert.equal(wrong.code, 2, wrong.err);
    assert.match(wrong.err, /^kennel: Cannot use "A B": it is not a slug .+\n$/);
  });
});
