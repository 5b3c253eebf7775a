/** Who is measured: a server, the tenants that it has, and how it wants to be told which one. */
import { join } from 'node:path';
import type { Children, ServerProcess } from './children.ts';
import type { LoadRequest } from './load/messages.ts';
import type { Member } from './provision.ts';

export type Subject = {
  name: string;
  server: ServerProcess;
  members: readonly Member[];
  /** The headers that name a tenant. */
  headersOf: (member: Member) => LoadRequest['headers'];
};

/** What a Kennel of the lab is started with. */
export type KennelOptions = {
  databaseUrl: string;
  folder: string;
  pool: number;
  redisUrl?: string;
};

export const adminToken = 'operator-of-the-bench-0123456789abcdef';

/** What `npm start` says to node. */
export const asStarted = ['--max-old-space-size=512', 'src/main.ts'];

/** The product as it is served: `src/main.ts` with its log written to a file. */
export function startKennel(
  children: Children,
  name: string,
  options: KennelOptions,
): Promise<ServerProcess> {
  return children.serve(name, asStarted, kennelVariables(options));
}

/** The environment of a Kennel in the lab. */
export function kennelVariables({ databaseUrl, folder, pool, redisUrl }: KennelOptions) {
  return {
    DATABASE_URL: databaseUrl,
    DATA_DIR: join(folder, 'kennel'),
    PORT: '0',
    ADMIN_TOKEN: adminToken,
    DB_CONNECTIONS: String(pool),
    ...(redisUrl === undefined ? {} : { REDIS_URL: redisUrl }),
  };
}

/** Kennel asks for a key, and for the slug of the tenant that it belongs to. */
export function kennelHeaders({ apiKey, slug }: Member): LoadRequest['headers'] {
  return { authorization: `Bearer ${apiKey}`, 'x-tenant-id': slug };
}

/** The same bytes for those who believe what they are told. */
export function baselineHeaders({ apiKey, id }: Member): LoadRequest['headers'] {
  return { authorization: `Bearer ${apiKey}`, 'x-tenant-id': id };
}
