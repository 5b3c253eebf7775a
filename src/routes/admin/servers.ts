/** The Postgres servers that tenants live on. Only a shell command changes them, because their URLs are secret. */
import { json } from '../../http/reply.ts';
import { route } from '../../http/route.ts';
import type { Operator } from './operator.ts';

/** Returns the servers, without their passwords. */
export type ListServers = () => Promise<object[]>;

export function serverRoutes(servers: ListServers) {
  return [
    route('GET', '/api/admin/servers', {}, async (_operator: Operator) => {
      return json(200, { items: await servers(), next_cursor: null });
    }),
  ];
}
