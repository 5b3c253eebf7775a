/** The URLs of the added servers. They contain passwords, so only the owner role may read them. */
import type { Sql } from '../../kernel/ports.ts';
import type { Connection } from '../../postgres/connection.ts';
import type { Fleet } from '../fleet.ts';
import { asOwner } from '../keys/seal_keys.ts';

/** Returns the administrators' URLs by the name of the server. */
export function readServerUrls(
  connection: Connection,
  owner: string,
): Promise<Map<string, string>> {
  return connection.transaction(`begin read only; set local role "${owner}"`, urlsIn);
}

/** Makes this process know the servers as the registry has them. */
export async function learnServers({
  admin,
  installation,
}: Pick<Fleet, 'admin' | 'installation'>): Promise<void> {
  installation.useServers(await asOwner({ admin, installation }, urlsIn));
}

/** Whether an announcement is about a server: then its URL may have changed. */
export function isOfServer(announcement: string): boolean {
  return announcement.startsWith('server ');
}

async function urlsIn(sql: Sql): Promise<Map<string, string>> {
  const rows = await sql<{ name: string; url: string }>`
    select name, url from control.servers where url is not null`;
  return new Map(rows.map(({ name, url }) => [name, url]));
}
