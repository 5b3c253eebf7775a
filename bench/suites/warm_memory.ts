/**
 * Measures the memory of a process after a request of each of ten thousand tenants. Their rows are inserted
 * into the registry directly: onboarding takes long, and another suite measures it.
 */
import { randomBytes } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import { mintApiKey } from '../../src/adapters/directory/api_key.ts';
import { tenantId } from '../../src/kernel/tenant.ts';
import type { Lab } from '../lab.ts';
import { conditions, limits } from '../limits.ts';
import { Client } from '../load/client.ts';
import type { LoadTenant } from '../provision.ts';
import type { KnownMemory } from '../result.ts';
import { adminToken, startKennel } from '../systems_under_test.ts';
import { kennelOptions, kennelSystem } from './servers.ts';

export async function measureKnown(lab: Lab): Promise<KnownMemory> {
  const { knownTenants: tenants, connections } = conditions;
  lab.progress.phase(`memory with ${tenants} tenants known`);
  const loadTenants = await register(lab, tenants);
  const server = await startKennel(lab.children, 'kennel known', kennelOptions(lab));
  const { headersOf } = kennelSystem('known', server, loadTenants);
  const beforeBytes = await residentBytes(server.url);
  // The list is empty, but the request passes all stages of the kernel.
  const requests = loadTenants.map((tenant) => ({
    method: 'GET' as const,
    path: '/api/pets',
    headers: headersOf(tenant),
  }));
  const { faults } = await lab.load.run({
    kind: 'sweep',
    url: server.url,
    connections,
    timeoutMs: limits.requestMs,
    requests,
  });
  if (faults.length > 0)
    throw new Error(`Cannot measure the memory with known tenants: ${faults.join(', ')}`);
  const afterBytes = await residentBytes(server.url);
  await server.stop();
  return { tenants, beforeBytes, afterBytes };
}

async function register({ services, progress }: Lab, count: number): Promise<LoadTenant[]> {
  const loadTenants: LoadTenant[] = [];
  for (let from = 0; from < count; from += limits.rowsPerStatement) {
    progress.step(from, count);
    const rows = Array.from({ length: Math.min(limits.rowsPerStatement, count - from) }, (_, at) =>
      newRow(`known-${String(from + at).padStart(6, '0')}`),
    );
    await insert(services, rows);
    for (const { id, slug, apiKey } of rows) {
      loadTenants.push({
        mode: 'shared',
        server: 'main',
        id: tenantId(id),
        slug,
        apiKey,
        pets: [],
      });
    }
  }
  return loadTenants;
}

type Row = ReturnType<typeof newRow>;

function newRow(slug: string) {
  const [id, user, key] = [uuidv7(), uuidv7(), uuidv7()];
  const { apiKey, digest } = mintApiKey(key, randomBytes(32));
  return { id, slug, user, key, digest: digest.toString('hex'), apiKey };
}

async function insert({ control, fleet }: Lab['services'], rows: readonly Row[]): Promise<void> {
  const text = JSON.stringify(rows.map(({ apiKey: _, ...row }) => row));
  await control`
    with given as (
      select *
      from jsonb_to_recordset(${text}::text::jsonb)
        as row (id uuid, slug text, "user" uuid, key uuid, digest text)
    ), new_tenants as (
      insert into control.tenants (id, slug, name, plan, status, isolation, schema_version)
      select id, slug, slug, 'enterprise', 'active', 'shared', ${fleet.sql.tenant.length}::int
      from given
      returning id
    ), new_users as (
      insert into control.users (tenant_id, id, email, role)
      select given.id, "user", slug || '@known.example', 'admin'
      from given
      join new_tenants using (id)
      returning id
    )
    insert into control.api_keys (tenant_id, id, user_id, secret_sha256)
    select given.id, key, "user", decode(digest, 'hex')
    from given
    join new_users on new_users.id = "user"`;
}

/** Reads the resident memory from the process's own metrics. */
async function residentBytes(url: string): Promise<number> {
  const client = new Client(url, limits.requestMs);
  const headers = { authorization: `Bearer ${adminToken}` };
  const { text } = await client.send({ method: 'GET', path: '/metrics', headers });
  client.close();
  const [, bytes] = /^process_resident_memory_bytes (\S+)$/m.exec(text) ?? [];
  if (bytes === undefined) throw new Error('Cannot read the memory: /metrics does not tell');
  return Number(bytes);
}
