/** The added servers and their URLs. These contain passwords, so only the owner role may read them. */
import type { Sql } from '../../kernel/ports.ts';
import type { Connection } from '../../postgres/connection.ts';
import type { AddedServers } from '../../postgres/installation.ts';
import type { Fleet } from '../fleet.ts';
import { asOwner } from '../keys/seal_keys.ts';

/** Returns the servers by name. */
export function readServerUrls(connection: Connection, owner: string): Promise<AddedServers> {
  return connection.transaction(`begin read only; set local role "${owner}"`, serversIn);
}

/** Makes this process know the servers as the registry has them. */
export function learnServers({
  admin,
  installation,
}: Pick<Fleet, 'admin' | 'installation'>): Promise<void> {
  return installation.learnServers(() => asOwner({ admin, installation }, serversIn));
}

/** Whether an announcement is about a server: then its URL or its status may have changed. */
export function isOfServer(announcement: string): boolean {
  return announcement.startsWith('server ');
}

async function serversIn(sql: Sql): Promise<AddedServers> {
  const rows = await sql<{ name: string; url: string; isLost: boolean }>`
    select name, url, status = 'lost' as "isLost" from control.servers where url is not null`;
  return new Map(rows.map(({ name, ...server }) => [name, server]));
}
