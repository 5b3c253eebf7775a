/**
 * The initial state of a lab: a victim whose rows are marked, traps that some layers guard, and the
 * layers that are taken off.
 */

import { randomUUID } from 'node:crypto';
import type { Placement } from '../../src/postgres/placement.ts';
import type { Lab, LabTenant, Victim } from './lab.ts';
import { type LayerName, layerOf } from './layer.ts';

/** Gives a tenant users, keys and a setting over HTTP, as any tenant has. */
export async function addVictimData(tenant: LabTenant, mark: string): Promise<Victim> {
  const { call } = tenant;
  const me = await call('GET /api/me');
  const adminId = me.body.user.id;
  const member = await call('POST /api/users', { email: 'known@example.com', role: 'member' });
  const key = await call(`POST /api/users/${member.body.id}/keys`);
  const revoked = await call(`POST /api/users/${adminId}/keys`);
  await call(`DELETE /api/keys/${revoked.body.id}`);
  const header = { 'x-request-id': mark };
  await call('PUT /api/config/welcome_message', { value: mark }, header);
  return {
    ...tenant,
    petId: '',
    adminId,
    adminKeyId: keyIdOf(tenant.apiKey),
    memberKey: key.body.api_key,
    revokedKey: revoked.body.api_key,
    firstPlacement: tenant.placement,
  };
}

/**
 * Restores the victim's original rows.
 *
 * @returns the id of its new pet.
 */
export async function renewRows({
  victim,
  superuser,
  accountPlacement,
  mark,
}: Lab): Promise<string> {
  const { id, placement, adminKeyId } = victim;
  const petId = randomUUID();
  await superuser.run(
    placement,
    // Without the triggers of a move, which would refuse the rows.
    `set local session_replication_role = replica;
     delete from visits;
     delete from pets where tenant_id = '${id}';
     insert into pets (tenant_id, id, name, species)
     values ('${id}', '${petId}', '${mark}', 'dog'),
       ('${id}', '${randomUUID()}', '${mark}', 'cat');
     insert into visits (tenant_id, id, pet_id, visited_on, reason)
     values ('${id}', '${randomUUID()}', '${petId}', '2026-01-01', '${mark}')`,
  );
  await superuser.run(
    accountPlacement,
    `update api_keys set revoked_at = null where id = '${adminKeyId}' and revoked_at is not null;
     update tenants set plan = 'enterprise' where id = '${id}' and plan <> 'enterprise';
     update settings set value = to_jsonb('${mark}'::text)
     where tenant_id = '${id}' and key = 'welcome_message'`,
  );
  return petId;
}

/**
 * Every row of the victim, with its table, and the logins that lead to the rows. Usage is left out:
 * it is counted after the requests.
 */
export async function rowsOfVictim({
  victim,
  moving,
  superuser,
  accountPlacement,
}: Lab): Promise<string[]> {
  const { id, placement } = victim;
  const own = await superuser.ask(
    placement,
    `${rowsOf(['pets', 'visits'], `tenant_id = '${id}'`)} union all ${rowsOf(['pg_authid'], login(placement))}`,
  );
  for (const place of moving?.places ?? []) {
    own.push(...(await superuser.ask(place, rowsOf(['pets', 'visits'], `tenant_id = '${id}'`))));
  }
  if (moving && moving.captureTables.length > 0) {
    const { firstPlacement } = victim;
    own.push(...(await superuser.ask(firstPlacement, rowsOf(moving.captureTables, 'true'))));
  }
  const account = await superuser.ask(
    accountPlacement,
    `${rowsOf(['users', 'api_keys', 'settings', 'moves', 'kernel.fences'], `tenant_id::text = '${id}'`)}
     union all ${rowsOf(['tenants'], `id = '${id}'`)}
     union all ${rowsOf(['audit_events'], `tenant_id = '${id}' and audience = 'tenant'`)}
     union all ${rowsOf(['pg_authid'], login(accountPlacement))}`,
  );
  return [...own, ...account].sort();
}

/** Marks the rows that only the control plane reads: what is recorded of the victim's move, and a fence. */
export async function markMove({
  victim,
  moving,
  superuser,
  accountPlacement,
  mark,
}: Lab): Promise<void> {
  await superuser.run(
    accountPlacement,
    `update moves set error = '${mark}' where tenant_id = '${victim.id}';
     insert into kernel.fences (tenant_id, generation) values ('${mark}', '1')`,
  );
  const [changes] = moving?.captureTables ?? [];
  if (!changes) return;
  await superuser.run(
    victim.firstPlacement,
    `insert into ${changes} (name, key) values ('pets', '${mark}')`,
  );
}

/** The object that a layer guards must exist both with and without the layer. */
export async function installTraps({ mode, victim, superuser }: Lab, placements: Placement[]) {
  for (const placement of placements) {
    await superuser.run(
      placement,
      `create view pet_names with (security_invoker = true) as select name from pets;
       grant select on pet_names to "${placement.role}"`,
    );
  }
  if (mode !== 'schema') return;
  const { placement } = victim;
  await superuser.run(
    placement,
    `create table public.pets as select * from pets;
     grant usage on schema public to "${placement.role}";
     grant select on public.pets to "${placement.role}"`,
  );
}

/** Takes a layer off the database, in the placements and in the control schema. */
export async function takeOff(
  { server, superuser, accountPlacement }: Lab,
  name: LayerName,
  placements: Placement[],
): Promise<void> {
  const { placement: inPlace, control } = layerOf(name);
  const { installation } = server.app.services.fleet;
  const { roles } = installation;
  const passwordOf = (login: string) => installation.password(login);
  for (const placement of inPlace ? placements : []) {
    const [stranger = placement] = placements.filter((other) => other !== placement);
    const names = { ...placement, roles, stranger: stranger.login, passwordOf };
    await superuser.run(placement, inPlace?.(names) ?? '');
  }
  if (!control) return;
  const { login } = accountPlacement;
  await superuser.run(
    accountPlacement,
    control({ ...accountPlacement, roles, stranger: login, passwordOf }),
  );
}

/** The condition for the login whose connections lead to a placement. */
function login({ login: name }: Placement): string {
  return `rolname = '${name}'`;
}

function rowsOf(tables: readonly string[], condition: string): string {
  return tables
    .map((table) => {
      const row = `'${table} ' || to_jsonb(entry)::text`;
      return `select ${row} as row from ${table} as entry where ${condition}`;
    })
    .join(' union all ');
}

function keyIdOf(apiKey: string): string {
  const [, hex = ''] = /^kn_([0-9a-f]{32})_/.exec(apiKey) ?? [];
  return hex.replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5');
}
