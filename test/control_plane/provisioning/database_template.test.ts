import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import {
  dropTemplate,
  templateOf,
} from '../../../src/control_plane/provisioning/database_template.ts';
import { mainServer } from '../../../src/kernel/tenant.ts';
import { Connection } from '../../../src/postgres/connection.ts';
import { codeOf } from '../../../src/postgres/errors.ts';
import { connectionLimits } from '../../support/connection.ts';
import { lookInto } from '../../support/sql.ts';
import { openTenantFixture, type TenantFixture } from '../../support/tenant_fixture.ts';

describe("the template of tenants' databases", () => {
  let fixture: TenantFixture;
  let template: string;
  before(async () => {
    fixture = await openTenantFixture(1);
    template = templateOf(fixture.services.fleet.installation);
    await fixture.tenant('database');
  });
  after(() => fixture.close());

  const asSuperuser = (text: string) =>
    lookInto(inTemplate(fixture.url), (sql) => sql.unsafe(text));

  function inTemplate(sessionUrl: string): string {
    const url = new URL(sessionUrl);
    url.pathname = template;
    return url.href;
  }

  /** How the login of a new tenant, whose database is a copy, is refused; null when it gets in. */
  async function refusal(): Promise<string | null> {
    const { url } = fixture.placementOf(await fixture.tenant('database'));
    try {
      (await Connection.open(inTemplate(url), connectionLimits)).close();
      return null;
    } catch (error) {
      return error instanceof Error ? codeOf(error.cause) : '';
    }
  }

  it('has no table', async () => {
    const tables = await asSuperuser(`
      select relname from pg_class
      where relnamespace not in (
        'pg_catalog'::regnamespace, 'pg_toast'::regnamespace, 'information_schema'::regnamespace
      )`);
    assert.deepEqual([...tables], []);
  });

  it("refuses a tenant's login", async () => {
    assert.equal(await refusal(), '42501');
  });

  it('control: accepts it when it grants connect to public and has no connection limit', async () => {
    await asSuperuser(`grant connect on database "${template}" to public`);
    assert.equal(await refusal(), '53300');
    await asSuperuser(`alter database "${template}" connection limit -1`);
    assert.equal(await refusal(), null);
  });

  it('is made again when a killed process has left it incomplete', async () => {
    await asSuperuser(`comment on database "${template}" is null`);
    assert.equal(await refusal(), '42501');
  });

  it('is made again when it was dropped', async () => {
    await dropTemplate(fixture.services.fleet, mainServer);
    assert.equal(await refusal(), '42501');
  });
});
