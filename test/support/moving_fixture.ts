/**
 * An installation whose tenants move. It has more tables than sql/tenant makes, and services of further
 * processes beside those that move tenants.
 */
import { randomUUID } from 'node:crypto';
import type { Sql } from 'postgres';
import type { Fleet } from '../../src/control_plane/fleet.ts';
import { captureOf } from '../../src/control_plane/moves/change_capture.ts';
import { admitOnly } from '../../src/control_plane/moves/fence.ts';
import type { Job } from '../../src/control_plane/moves/job.ts';
import { MoveJob, type MoveWatcher } from '../../src/control_plane/moves/move_job.ts';
import { MoveRecord, type MoveView } from '../../src/control_plane/moves/move_record.ts';
import type { Moves } from '../../src/control_plane/moves/moves.ts';
import { ReplaceJob } from '../../src/control_plane/moves/replace_job.ts';
import type { DeletionReceipt } from '../../src/control_plane/provisioning/deletion_receipt.ts';
import { Provisioner } from '../../src/control_plane/provisioning/provisioner.ts';
import { isolationModes } from '../../src/isolation/modes.ts';
import { Relocation } from '../../src/isolation/relocation.ts';
import { tenantIsolation } from '../../src/isolation/tenant_db.ts';
import type { Db, Isolation, TenantRef } from '../../src/kernel/ports.ts';
import { mainServer, type TenantId } from '../../src/kernel/tenant.ts';
import { limits } from '../../src/limits.ts';
import { openConnectionPool } from '../../src/postgres/open_connection_pool.ts';
import type { Placement } from '../../src/postgres/placement.ts';
import type { Services } from '../../src/services.ts';
import { hostileTexts } from './hostile_texts.ts';
import {
  type ExtendedInstallation,
  fillAll,
  moreTables,
  openExtended,
  slugOf,
} from './more_tables.ts';
import { type Mover, moverOf } from './mover.ts';
import { lookInto } from './sql.ts';
import { forLateWrites, theTrail, tracesOf } from './traces.ts';

/** The ordered pairs of two modes. */
export const pairs = isolationModes.flatMap((from) =>
  isolationModes.filter((to) => to !== from).map((to) => ({ from, to })),
);

export type MovingFixture = Omit<ExtendedInstallation, 'asSuperuser'> & {
  /** Adds a row to each table, pets with hostile texts, nulls and deleted ones, and many pets with a visit. */
  fill(slug: string, pets: number): Promise<void>;
  /** The tenant as the registry has it. */
  tenant(slug: string): Promise<TenantRef>;
  /** All rows of a tenant as text, in every table. */
  rowsOf(slug: string): Promise<string[]>;
  move(slug: string, to: string, options?: MoveOptions): Promise<MoveView>;
  /** The latest move of a tenant. */
  view(slug: string): Promise<MoveView | null>;
  /** Deletes the tenant. */
  remove(slug: string): Promise<DeletionReceipt | null>;
  /** Moves tenants with connections of its own, until it is killed. */
  mover(control?: Db): Mover;
  /** Takes a move over as a recovery does, but without the lock: its process has not noticed that it lost it. */
  takeOver(slug: string): Promise<Job>;
  fence(placement: Placement, id: TenantId): Promise<void>;
  /** Lets a tenant write in its old placement, which no longer records it. */
  dropCapture(tenant: TenantRef): Promise<void>;
  /** All that belongs to the tenant outside of its placement: schemas, databases, roles, triggers, rows. */
  leftOver(slug: string): Promise<string[]>;
  /** All that a deleted tenant has left, except its trail. */
  tracesOf(tenant: TenantRef): Promise<string[]>;
};

type MoveOptions = MoveWatcher & { by?: Moves };

/** Texts that a pet may have as its name. */
const names = hostileTexts.filter((text) => text !== '');

export async function openMovingFixture(): Promise<MovingFixture> {
  const { asSuperuser, ...extended } = await openExtended(moreTables);
  const { services } = extended;
  const tenant = (slug: string) => tenantOf(services, slug);
  const taking = openConnectionPool(limits.moverConnection, limits.movers);
  return {
    ...extended,
    tenant,
    fill: async (slug, pets) => {
      const { id } = await tenant(slug);
      await asSuperuser(slug, async (sql) => {
        await fillAll(sql, id);
        await sql`
          insert into pets (tenant_id, id, name, species, birth_date, deleted, microchip_id)
          select ${id}::uuid, gen_random_uuid(), name, 'dog', '2020-02-29', true, name
          from unnest(${names}::text[]) as name`;
        await sql`
          with many as (
            insert into pets (tenant_id, id, name, species)
            select ${id}::uuid, gen_random_uuid(), 'Pet ' || n, 'cat'
            from generate_series(1, ${pets}::int) as n
            returning id
          )
          insert into visits (tenant_id, id, pet_id, visited_on, reason)
          select ${id}::uuid, gen_random_uuid(), id, '2024-01-01', 'shots' from many`;
      });
    },
    rowsOf: async (slug) => {
      const { id } = await tenant(slug);
      return asSuperuser(slug, async (sql) => {
        const queries = (await tablesOf(sql)).map(
          (name) =>
            `select '${name} ' || t::text as row from ${name} as t where tenant_id = '${id}'`,
        );
        const rows = await sql.unsafe(queries.join(' union all '));
        return rows.map(({ row }) => String(row)).sort();
      });
    },
    move: async (slug, to, { by = services.moves, onStep, ...watcher } = {}) => {
      const request = { slug: slugOf(slug), to, requestId: null };
      const { watched, assertNone } = keepingErrors(onStep);
      const view = await (await by.begin(request, { ...watcher, onStep: watched })).finished;
      assertNone();
      return view;
    },
    view: (slug) => services.moves.find(slugOf(slug)),
    remove: (slug) => services.onboarding.remove(slugOf(slug), null),
    mover: (control) => moverOf(services, control),
    takeOver: async (slug) => {
      const { fleet, control, pools } = services;
      const record = new MoveRecord(control, limits.moves);
      const move = await record.unfinishedOf(slugOf(slug));
      const taken = move && (await record.takeOver(move));
      if (!taken) throw new Error(`Cannot take over the move of "${slug}": there is none`);
      const parts = { fleet, control, serving: pools.serving };
      const others = {
        movers: taking,
        steps: new Provisioner(parts),
        record,
        limits: limits.moves,
      };
      const job = taken.kind === 'restore' ? ReplaceJob : MoveJob;
      return new job(
        { ...parts, ...others, newId: randomUUID, nowMs: () => performance.now() },
        taken,
      );
    },
    close: async () => {
      taking.close();
      await extended.close();
    },
    fence: (placement, id) => admitOnly(services.fleet, placement, { tenant: id }),
    dropCapture: async (stale) => {
      const { installation, modes } = services.fleet;
      const url = installation.adminUrlOf(modes.placementOf(stale));
      await lookInto(url, (sql) => sql`drop schema ${sql(captureOf(stale.id))} cascade`);
    },
    tracesOf: async ({ id }) =>
      (await tracesOf(extended.url, [id])).filter(
        (trace) => ![...theTrail, forLateWrites].includes(trace),
      ),
    leftOver: async (slug) => leftOver(services.fleet, await tenant(slug)),
  };
}

/**
 * The isolation of a process that follows moves, as `src/app.ts` makes it, but without a cache.
 *
 * @param patienceMs by default long: a busy machine may take its time for the last step of a move.
 */
export function followingIsolation(services: Services, patienceMs = 60_000): Isolation {
  const { connections, control, fleet, moves } = services;
  const relocation = new Relocation({
    ...limits.relocation,
    patienceMs,
    lookUp: async (id) => {
      const [tenant] = await control<TenantRef>`
        select id, isolation, server, generation from control.tenants where id = ${id}`;
      return tenant ?? null;
    },
    onStuck: (id) => moves.recoverOf(id),
    nowMs: () => performance.now(),
  });
  return tenantIsolation(connections, fleet.modes, relocation);
}

/** The tenant as the registry has it. */
export async function tenantOf(
  { control }: Pick<Services, 'control'>,
  slug: string,
): Promise<TenantRef> {
  const [tenant] = await control<TenantRef>`
    select id, isolation, server, generation from control.tenants where slug = ${slug}`;
  if (!tenant) throw new Error(`Cannot find "${slug}": there is no such tenant`);
  return tenant;
}

/**
 * Keeps the errors of a watcher: a job that has switched its tenant has not failed, whatever happens then, so a
 * failed assertion would be lost.
 */
export function keepingErrors<Step>(onStep: (step: Step) => void | Promise<void> = () => {}) {
  const errors: unknown[] = [];
  const watched = async (step: Step) => {
    try {
      await onStep(step);
    } catch (error) {
      errors.push(error);
      throw error;
    }
  };
  const assertNone = () => {
    if (errors.length > 0) throw errors[0];
  };
  return { watched, assertNone };
}

/** All that belongs to a tenant outside of its placement, on every server. */
export async function leftOver(
  { installation, modes }: Pick<Fleet, 'installation' | 'modes'>,
  tenant: TenantRef,
): Promise<string[]> {
  const { server, database, schema, login } = modes.placementOf(tenant);
  const isShared = modes.isCommon(tenant);
  const own = isShared
    ? ['shared rows']
    : [`schema ${schema}`, `database ${database}`, `role ${login}`].map((name) => on(server, name));
  const homes = installation.addedServers.map((name) => installation.homeOf(name));
  const places = [installation.main, ...homes];
  if (database !== installation.database) places.push({ server, database });
  const found: string[] = [];
  for (const place of places) {
    const names = await lookInto(installation.adminUrlOf(place), (sql) => namesOf(sql, tenant.id));
    found.push(...names.map((name) => on(place.server, name)));
  }
  const shared = await lookInto(
    installation.adminUrlOf(installation.main),
    (sql) => sql`select from shared.pets where tenant_id = ${tenant.id} limit 1`,
  );
  if (shared.length > 0) found.push('shared rows');
  return found.filter((name) => !own.includes(name));
}

function on(server: string, name: string): string {
  return server === mainServer ? name : `${name} on ${server}`;
}

/** What a server and one of its databases have that is named after a tenant. */
async function namesOf(sql: Sql, id: TenantId): Promise<string[]> {
  const hex = id.replaceAll('-', '');
  const rows = await sql<{ name: string }[]>`
    select 'schema ' || nspname as name from pg_namespace where nspname like ${`%${hex}%`}
    union all select 'database ' || datname from pg_database where datname like ${`%${hex}`}
    union all select 'role ' || rolname from pg_roles where rolname like ${`%${hex}`}
    union all select 'trigger ' || tgname from pg_trigger where tgname like ${`%${hex}%`}`;
  return rows.map(({ name }) => name);
}

/** Every table of the tenants in the search path's schema. */
async function tablesOf(sql: Sql): Promise<string[]> {
  const tables = await sql<{ name: string }[]>`
    select relname as name from pg_class
      join pg_attribute on attrelid = pg_class.oid and attname = 'tenant_id'
    where relnamespace = current_schema()::regnamespace and relkind in ('r', 'p')`;
  return tables.map(({ name }) => name);
}
