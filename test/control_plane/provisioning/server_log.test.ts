/** Postgres logs an error however long its message is, and an injected one can be megabytes long. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Connection } from '../../../src/postgres/connection.ts';
import { connectionLimits } from '../../support/connection.ts';
import { type ServingContext, servingContexts } from '../../support/serving_tables.ts';
import { openTenantFixture, type TenantFixture } from '../../support/tenant_fixture.ts';

describe("the errors of tenants' statements", () => {
  let fixture: TenantFixture;
  let all: ServingContext[];
  before(async () => {
    fixture = await openTenantFixture(1);
    all = await servingContexts(fixture);
    // The default of most servers; the server of the tests logs no errors at all.
    for (const { placement } of all) {
      const { database } = placement;
      await fixture.asSuperuser(
        placement,
        `alter database "${database}" set log_min_messages = warning`,
      );
    }
  });
  after(() => fixture.close());

  async function logged({ placement }: ServingContext): Promise<unknown> {
    const connection = await Connection.open(placement.url, connectionLimits);
    const [row] = await connection.plain<{ level: string }>`
      select current_setting('log_min_messages') as level`;
    connection.close();
    return row?.level;
  }

  it("are below the session's log_min_messages, in any mode", async () => {
    for (const context of all) assert.equal(await logged(context), 'log', context.name);
  });

  it("control: are logged without the login's own log_min_messages", async () => {
    for (const context of all) {
      const login = decodeURIComponent(new URL(context.placement.url).username);
      await fixture.asSuperuser(context.placement, `alter role "${login}" reset log_min_messages`);
      assert.equal(await logged(context), 'warning', context.name);
    }
  });
});
