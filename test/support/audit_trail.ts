/**
 * An audit trail with events of many tenants, forgeries by an attacker with all rights, and
 * verifications of the result.
 */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { postgresAccounts } from '../../src/adapters/account/postgres_accounts.ts';
import { AuditCheckpoints } from '../../src/control_plane/audit/checkpoints.ts';
import { type Verification, verifyTrail } from '../../src/control_plane/audit/verify.ts';
import type { Db } from '../../src/kernel/ports.ts';
import { limits } from '../../src/limits.ts';
import { writePrivate } from '../../src/private_file.ts';
import type { Services } from '../../src/services.ts';
import { type Registered, register } from './registered.ts';
import { openTenantFixture } from './tenant_fixture.ts';

/** How many events a tenant has at the beginning. */
export const eventsEach = 10;

export type AuditTrail = {
  services: Services;
  /** The folder of the checkpoints. */
  folder: string;
  /** Records an event that says `note`. */
  record(tenant: Registered, note: number): Promise<void>;
  /** A new tenant with its first events. */
  tenant(): Promise<Registered>;
  /** Statements of the superuser on the control schema. */
  falsify(text: string): Promise<void>;
  /** Removes a tenant with its trail: other tests must not meet the forgeries. */
  forget(tenant: Registered): Promise<void>;
  checkpoints(file?: string, bytes?: number): AuditCheckpoints;
  /** Verifies one tenant's trail, or with null all. */
  verify(slug: string | null, checkpoints?: AuditCheckpoints): Promise<Verification>;
  /** Verifies all chains as another connection to the database shows them. */
  verifyOn(control: Db): Promise<Verification>;
  close(): Promise<void>;
};

/** Small, so that every chain has several. */
const inSmallPages = {
  chainBatchSize: 2,
  eventBatchSize: 3,
  eventBytes: limits.verification.eventBytes,
  maxFaults: 5,
};

export async function openAuditTrail(): Promise<AuditTrail> {
  const fixture = await openTenantFixture(8);
  const folder = await mkdtemp(join(tmpdir(), 'kennel-data-'));
  const { services } = fixture;
  const { control, fleet, connections } = services;
  const accounts = postgresAccounts(connections, fleet.installation, {
    newId: randomUUID,
    onChange: () => {},
  });
  const record: AuditTrail['record'] = (tenant, note) =>
    accounts.run({ tenant, actor: 'operator', requestId: 'r-1' }, (account) =>
      account.change('config_changed', async () => ({ result: undefined, details: { note } })),
    );
  const falsify = async (text: string) => {
    await fixture.asSuperuser(fleet.installation.account, text);
  };
  return {
    services,
    folder,
    record,
    tenant: async () => {
      const tenant = await register(control, `t-${randomUUID().slice(0, 8)}`);
      for (let note = 1; note <= eventsEach; note += 1) await record(tenant, note);
      return tenant;
    },
    falsify,
    forget: ({ id }) => falsify(`${without(id)}; delete from tenants where id = '${id}'`),
    checkpoints: (file = randomUUID(), bytes = limits.checkpoints.bytes) =>
      new AuditCheckpoints(control, {
        file: join(folder, file),
        installation: 'this one',
        bytes,
        chainBatchSize: 2,
        replace: writePrivate,
        nowMs: () => Date.parse('2024-02-29T12:00:00Z'),
      }),
    verify: async (slug, checkpoints) =>
      verifyTrail(control, {
        ...inSmallPages,
        slug,
        checkpoints: (await checkpoints?.read()) ?? [],
      }),
    verifyOn: (other) => verifyTrail(other, { ...inSmallPages, slug: null, checkpoints: [] }),
    close: async () => {
      await fixture.close();
      await rm(folder, { recursive: true });
    },
  };
}

/** Removes a chain with its head. */
export function without(id: string): string {
  return `
    delete from audit_events where tenant_id = '${id}';
    delete from audit_chains where chain = '${id}'`;
}

/** Edits the first event of a chain and recomputes every hash, the head's too. */
export function rewriting(id: string): string {
  return `
    do $$
    declare
      next control.audit_events;
      last bytea := sha256(uuid_send('${id}'));
    begin
      update control.audit_events set actor = 'nobody' where tenant_id = '${id}' and position = 1;
      for next in select * from control.audit_events where tenant_id = '${id}' order by position
      loop
        last := sha256(last || convert_to(control.audit_text(next, next.position), 'UTF8'));
        update control.audit_events set hash = last where seq = next.seq;
        update control.audit_chains set hash = last where chain = '${id}';
      end loop;
    end $$`;
}

/** Removes the last event of a chain and sets the head back to the one before it. */
export function cutting(id: string): string {
  return `
    delete from audit_events where tenant_id = '${id}' and position = ${eventsEach};
    update audit_chains as head
    set position = last.position, hash = last.hash
    from audit_events as last
    where head.chain = '${id}' and last.tenant_id = head.chain
      and last.position = ${eventsEach - 1}`;
}

/** The kind and the position of each finding. */
export function named({ faults: findings }: Verification): [string, number][] {
  return findings.map(({ kind, position }) => [kind, position]);
}
