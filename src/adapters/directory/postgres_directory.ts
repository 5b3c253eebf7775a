/** Looks up keys and tenants in schema `control`, each in one query with all that requests need. */
import type { Sql } from '../../kernel/ports.ts';
import { settingKeys, settingsFrom } from '../../kernel/settings.ts';
import type { Caller, Role, Slug, Tenant, TenantId } from '../../kernel/tenant.ts';
import type { DirectorySource } from './cached_directory.ts';

type KeyRow = {
  id: string;
  tenant_id: TenantId;
  user_id: string;
  email: string;
  role: Role;
};

type TenantRow = {
  id: TenantId;
  slug: Slug;
  name: string;
  status: Tenant['status'];
  isolation: string;
  server: string;
  generation: number;
  schema_version: number;
  required_version: number;
  plan: string;
  requests_per_hour: number;
  burst: number;
  settings: Record<string, unknown>;
};

/** A Postgres array. Other keys are not read: there is no limit on their number. */
const knownKeys = `{${settingKeys.join()}}`;

/**
 * Returns the directory's source: callers by the digest of a key's secret, and tenants by id, or null. Each is one
 * read of the registry.
 */
export function postgresDirectory(control: Sql): DirectorySource {
  return {
    // By the digest alone: to find a row by its id and then reject it would take a different time.
    caller: async (keyId, secretSha256) => {
      const [row] = await control<KeyRow>`
        select api_keys.id, api_keys.tenant_id, users.id as user_id, email, role
        from control.api_keys
          join control.users
            on users.tenant_id = api_keys.tenant_id and users.id = api_keys.user_id
        where secret_sha256 = ${secretSha256} and revoked_at is null`;
      return row?.id === keyId ? callerOf(row) : null;
    },
    tenant: async (id) => {
      const [row] = await control<TenantRow>`
        select id, slug, tenants.name, status, isolation, server, generation, schema_version,
          required_version, plan, requests_per_hour, burst,
          (
            select coalesce(jsonb_object_agg(key, value), '{}')
            from control.settings
            where tenant_id = tenants.id and key = any(${knownKeys}::text[])
          ) as settings
        from control.tenants
          join control.plans on plans.name = tenants.plan
        where id = ${id}`;
      return row ? tenantRecord(row) : null;
    },
  };
}

function callerOf(row: KeyRow): Caller {
  const { id: keyId, tenant_id: tenantId, user_id: id, email, role } = row;
  return { user: { id, email, role }, keyId, tenantId };
}

function tenantRecord(row: TenantRow): Tenant {
  const { id, slug, name, status, isolation, server, generation } = row;
  const { schema_version: schemaVersion, required_version: requiredVersion } = row;
  const plan = { name: row.plan, requestsPerHour: row.requests_per_hour, burst: row.burst };
  const settings = settingsFrom(row.settings);
  const versions = { schemaVersion, requiredVersion };
  return {
    ...{ id, slug, name, status, isolation, server, generation },
    ...{ ...versions, plan, settings },
  };
}
