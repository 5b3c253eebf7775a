/** The rights that an administrator lacks. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { missingRights } from '../../../src/control_plane/provisioning/administrator_rights.ts';
import { Connection } from '../../../src/postgres/connection.ts';
import { createAdministrator } from '../../support/administrator.ts';
import { connectionLimits } from '../../support/connection.ts';
import { serverUrl } from '../../support/postgres.ts';
import { lookInto } from '../../support/sql.ts';

describe('missingRights()', () => {
  const role = 'rights_of_kennel';
  const names = ['rights_first', 'rights_second', 'rights_none'] as const;
  let urls: string[] = [];
  before(async () => {
    const server = await serverUrl();
    urls = await Promise.all([
      createAdministrator(server, names[0]),
      createAdministrator(server, names[1]),
      createAdministrator(server, names[2], 'nocreatedb'),
    ]);
    await using(urls[0], (first) => first.script(`create role ${role}`));
  });
  after(async () => {
    await lookInto(await serverUrl(), async (sql) => {
      for (const name of [role, ...names]) {
        if (name !== role) await sql`drop owned by ${sql(name)}`;
        await sql`drop role ${sql(name)}`;
      }
    });
  });

  const missingOf = (url: string | undefined, roles: readonly string[] = []) =>
    using(url, (connection) => missingRights(connection, roles));

  it('names each attribute', async () => {
    assert.deepEqual(await missingOf(urls[2]), ['createrole', 'createdb']);
  });

  it('names no right of the login that has created the roles, nor of a superuser', async () => {
    assert.deepEqual(await missingOf(urls[0], [role]), []);
    assert.deepEqual(await missingOf(await serverUrl(), [role]), []);
  });

  it('names the admin option on roles of another login, since Postgres 16', async () => {
    const [missing = 'none'] = await missingOf(urls[1], [role]);
    const isOld = await using(urls[1], async (connection) => {
      const [row] = await connection.plain<{ isOld: boolean }>`
        select current_setting('server_version_num')::int < 160000 as "isOld"`;
      return row?.isOld;
    });
    assert.match(missing, isOld ? /^none$/ : /^the admin option on Kennel's roles/);
  });
});

async function using<Result>(
  url: string | undefined,
  work: (connection: Connection) => Promise<Result>,
): Promise<Result> {
  const connection = await Connection.open(url ?? '', connectionLimits);
  try {
    return await work(connection);
  } finally {
    connection.close();
  }
}
