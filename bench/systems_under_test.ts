/** A measured system: a server, its tenants, and the headers that name a tenant. */
import { join } from 'node:path';
import type { Children, ServerProcess } from './children.ts';
import type { LoadRequest } from './load/messages.ts';
import type { LoadTenant } from './provision.ts';

export type SystemUnderTest = {
  name: string;
  server: ServerProcess;
  loadTenants: readonly LoadTenant[];
  /** The headers that name a tenant. */
  headersOf: (tenant: LoadTenant) => LoadRequest['headers'];
};

/** The options of a Kennel in the lab. */
export type KennelOptions = {
  databaseUrl: string;
  folder: string;
  pool: number;
  redisUrl?: string;
};

export const adminToken = 'operator-of-the-bench-0123456789abcdef';

/** The arguments of `node` in `npm start`. */
export const asStarted = ['--max-old-space-size=512', 'src/main.ts'];

/** Starts the product as it is served: `src/main.ts`, with its log in a file. */
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

/** Kennel needs an API key, and the slug of its tenant. */
export function kennelHeaders({ apiKey, slug }: LoadTenant): LoadRequest['headers'] {
  return { authorization: `Bearer ${apiKey}`, 'x-tenant-id': slug };
}

/** A baseline trusts the tenant id in the header. The headers have about as many bytes. */
export function baselineHeaders({ apiKey, id }: LoadTenant): LoadRequest['headers'] {
  return { authorization: `Bearer ${apiKey}`, 'x-tenant-id': id };
}
