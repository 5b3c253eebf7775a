/**
 * A server checks its database before it serves: findings that would mix tenants up stop it, others
 * do not.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { clientOf, onboard } from '../support/client.ts';
import { type DoctorFixture, openDoctorFixture } from '../support/doctor_fixture.ts';
import { adminToken, runKennel, startKennel } from '../support/kennel.ts';

let fixture: DoctorFixture;

before(async () => {
  fixture = await openDoctorFixture();
});

after(() => fixture.close());

describe('a server on a database without isolation', () => {
  afterEach(async () => {
    const { main, serve, own } = fixture.names;
    await fixture.run(main, `alter role ${serve} nobypassrls`);
    await fixture.run(main, 'alter table shared.pets enable row level security');
    await fixture.run(own, 'drop view if exists tenant.all_pets');
  });

  it('does not start, and reports each fault with its fix in one line', async () => {
    const { main, serve, own } = fixture.names;
    await fixture.run(main, `alter role ${serve} bypassrls`);
    await fixture.run(main, 'alter table shared.pets disable row level security');
    await fixture.run(own, 'create view tenant.all_pets as select * from tenant.pets');
    const { code, stdout, stderr } = await runKennel({
      DATABASE_URL: fixture.url,
      ADMIN_TOKEN: adminToken,
    });
    assert.equal(code, 1, stderr);
    assert.doesNotMatch(stdout, /"msg":"listening"/);
    const [first = '', ...findings] = stderr.trimEnd().split('\n');
    assert.match(first, /^kennel: Cannot serve: tenants would not be kept apart/);
    assert.deepEqual(
      findings.map((line) => /^kennel: (\w+): .+; fix: \w+/.exec(line)?.[1]),
      ['role_overprivileged', 'row_security_changed', 'view_extra'],
    );
  });
});

describe('a server with a tenant of an unknown schema version', () => {
  it('serves all other tenants, and logs one line about that tenant', async () => {
    const { main } = fixture.names;
    const before = await startKennel(fixture.url);
    const unknownVersion = await onboard(before, 'future-farm');
    const fine = await onboard(before, 'present-farm');
    await before.stop();
    await fixture.run(
      main,
      "update control.tenants set schema_version = 99 where slug = 'future-farm'",
    );
    const kennel = await startKennel(fixture.url);
    try {
      assert.equal((await clientOf(kennel, unknownVersion)('GET /api/pets')).status, 503);
      assert.equal((await clientOf(kennel, fine)('GET /api/pets')).status, 200);
      const lines = kennel.stdout().match(/"check":"tenant_version_outside".*future-farm.*/g);
      assert.equal(lines?.length, 1);
    } finally {
      await kennel.stop();
    }
  });
});
