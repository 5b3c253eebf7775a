/** The servers as the operator sees them: never with a password. */
import type { Sql } from '../../kernel/ports.ts';
import { keywordsIn, urlOf } from '../../postgres/connection_url.ts';
import type { Fleet } from '../fleet.ts';
import { asOwner } from '../keys/seal_keys.ts';
import { whyUnusable } from './probe.ts';

export type ServerView = {
  name: string;
  /** The administrator's URL without its password. */
  url: string;
  /**
   * New tenants are placed on active servers only. After a removal that was killed it is `adding`, too, or `lost`
   * if the server was given up.
   */
  status: 'adding' | 'active' | 'draining' | 'lost';
  /** How many tenants of modes with servers live there. */
  tenants: number;
  /** Whether the administrator can open a session now. */
  reachable: boolean;
  added_at: string;
};

type Row = Omit<ServerView, 'reachable' | 'url'> & { url: string | null };

/** Returns the main server, and the others by name. */
export async function listServers(fleet: Fleet): Promise<ServerView[]> {
  const { installation, modes } = fleet;
  const rows = await asOwner(
    fleet,
    (sql) => sql<Row>`
      select name, url, status, added_at, (
          select count(*) from control.tenants
          where server = servers.name and isolation = any (${modes.withServers})
        ) as tenants
      from control.servers
      order by url is not null, name`,
  );
  return Promise.all(
    rows.map(async ({ name, url, status, tenants, added_at }) => ({
      name,
      url: withoutSecrets(url ?? installation.adminUrl),
      ...{ status, tenants },
      reachable: (await whyUnusable(fleet, name)) === null,
      added_at,
    })),
  );
}

/** @throws {Error} when there is no server of that name. */
export async function assertServer(sql: Sql, name: string): Promise<void> {
  const found = await sql`select from control.servers where name = ${name}`;
  if (found.length === 0) throw new Error(`Cannot find "${name}": there is no such server`);
}

function withoutSecrets(url: string): string {
  const { password: _password, sslpassword: _passphrase, ...others } = keywordsIn(url);
  return urlOf(others);
}
