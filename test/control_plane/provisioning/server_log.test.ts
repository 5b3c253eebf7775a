/** An error of a statement is logged however long its message is, and injected ones can be of megabytes. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Connection } from '../../../src/postgres/connection.ts';
import { connectionLimits } from '../../support/connection.ts';
import { type Standing, standings } from '../../support/serving_tables.ts';
import { openTenantPlaces, type TenantPlaces } from '../../support/tenant_places.ts';

describe("the errors of tenants' statements", () => {
  let places: TenantPlaces;
  let all: Standing[];
  before(async () => {
    places = await openTenantPlaces(1);
    all = await standings(places);
    // As servers come; the one of the tests logs no errors of anybody.
    for (const { place } of all) {
      const { database } = place;
      await places.asSuperuser(
        place,
        `alter database "${database}" set log_min_messages = warning`,
      );
    }
  });
  after(() => places.close());

  async function logged({ place }: Standing): Promise<unknown> {
    const connection = await Connection.open(place.target, connectionLimits);
    const [row] = await connection.plain<{ level: string }>`
      select current_setting('log_min_messages') as level`;
    connection.close();
    return row?.level;
  }

  it("are below the session's log_min_messages, in any mode", async () => {
    for (const standing of all) assert.equal(await logged(standing), 'log', standing.name);
  });

  it("control: are logged without the login's own log_min_messages", async () => {
    for (const standing of all) {
      const login = decodeURIComponent(new URL(standing.place.target).username);
      await places.asSuperuser(standing.place, `alter role "${login}" reset log_min_messages`);
      assert.equal(await logged(standing), 'warning', standing.name);
    }
  });
});
