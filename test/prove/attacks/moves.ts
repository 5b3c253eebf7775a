/**
 * Tenants that are moved or restored: the attacker, with the rights of any tenant, tries the objects of the move, the
 * copied rows, and contexts of the victim from before. It knows the victim's id, and so the names of all objects.
 */
import { captureOf } from '../../../src/control_plane/moves/change_capture.ts';
import { tenantId } from '../../../src/kernel/tenant.ts';
import type { Placement } from '../../../src/postgres/placement.ts';
import { contextOf } from '../../support/envelopes.ts';
import type { Attack, Attempt } from '../attack.ts';
import { mustBeRefused } from './resources.ts';
import { readAll } from './servers.ts';
import { quoted, sets, union } from './sql.ts';

const capture = ({ victim }: Attempt) => `"${captureOf(tenantId(victim.id))}"`;

/** In an order in which the layers of one can be taken off after those of the one before. */
export const moves: readonly Attack[] = [
  {
    name: 'the keys of the rows that a moving tenant has changed',
    layers: {
      'shared-to-schema': ['closed capture'],
      'schema-to-database': ['closed capture'],
      restoring: ['closed capture'],
    },
    run: (attempt) => attempt.search(union(`select name, key from ${capture(attempt)}.changes`)),
  },
  {
    name: 'the stop of the writes of a moving tenant, lifted',
    layers: { 'schema-to-database': ['closed capture'], restoring: ['closed capture'] },
    run: (attempt) => attempt.report(`delete from ${capture(attempt)}.fence`),
  },
  {
    name: 'the writes of a moving tenant, stopped',
    layers: { 'shared-to-schema': ['closed capture'] },
    run: (attempt) => attempt.report(`insert into ${capture(attempt)}.fence default values`),
  },
  {
    name: "the trigger function of a move, on the attacker's own table",
    layers: {
      'shared-to-schema': ['queries only', 'connection', 'no temporary tables', 'closed capture'],
    },
    run: (attempt) =>
      attempt.report([
        'create temporary table bait (tenant_id uuid, id uuid)',
        `create trigger bait after insert on bait for each row execute function ${capture(attempt)}.pets()`,
        `insert into bait values ('${attempt.victim.id}', '${attempt.victim.petId}')`,
      ]),
  },
  {
    name: 'the lock that the writes of a moving tenant share',
    layers: {
      'shared-to-schema': ['no advisory locks'],
      restoring: ['no advisory locks'],
    },
    run: async (attempt) => {
      const lock = `hashtextextended('kennel writers of ${attempt.victim.id}', 0)`;
      const taken = `select '', pg_advisory_xact_lock_shared(${lock})::text`;
      mustBeRefused(attempt, await attempt.search(union(taken)));
    },
  },
  {
    name: 'the fences of tenants that have moved',
    layers: { 'schema-to-database': ['fence table'], restored: ['fence table'] },
    run: (attempt) => attempt.search(union('select tenant_id, generation from kernel.fences')),
  },
  {
    name: 'the fence of a tenant that has moved, lifted',
    layers: { 'schema-to-database': ['fence table'], restored: ['fence table'] },
    run: (attempt) =>
      attempt.report(`delete from kernel.fences where tenant_id = '${attempt.victim.id}'`),
  },
  {
    name: 'the moves of other tenants',
    layers: { 'schema-to-database': ['move table'] },
    run: (attempt) => attempt.search(union("select '', error from control.moves"), 'users'),
  },
  {
    name: "another tenant's move, declared as failed",
    layers: { 'schema-to-database': ['move table'] },
    run: (attempt) =>
      attempt.report(
        `update control.moves set state = 'failed' where tenant_id = '${attempt.victim.id}'`,
        'users',
      ),
  },
  {
    name: 'seals of the victim from before its move, each on the backend that it is bound to',
    layers: {
      'schema-to-database': ['no settings', 'fence'],
      restored: ['no settings', 'fence'],
    },
    run: async (attempt) => {
      const names = `select '', name from ${attempt.lab.table('pets')}`;
      await attempt.report('select 1');
      await attempt.search(union(sets('kennel.tenant', await formerSeal(attempt)), names));
    },
  },
  {
    name: 'the copied rows in the schema that a tenant moves to',
    layers: { 'shared-to-schema': ['row security'] },
    run: (attempt) => attempt.search(union(`select '', name from ${copied(attempt)}`)),
  },
  {
    name: 'the rows of a tenant that has just been switched to shared mode',
    layers: { 'database-to-shared': ['row security'] },
    run: (attempt) => attempt.search(union(`select '', name from ${copied(attempt)}`)),
  },
  {
    name: 'the common login, in the database that a tenant moves to',
    layers: { 'schema-to-database': ['closed database', 'own tables', 'row security'] },
    run: (attempt) => readAll(attempt, asCommonLogin(attempt, copy(attempt))),
  },
  {
    name: "the common login, and the capture in a tenant's own database",
    layers: { 'database-to-shared': ['closed database', 'closed capture'] },
    run: (attempt) => {
      const there = asCommonLogin(attempt, attempt.victim.firstPlacement);
      return readAll(attempt, there, `select key from ${capture(attempt)}.changes`);
    },
  },
  {
    name: 'the login and the context of the victim from before its move, in the database that it leaves',
    layers: { 'database-to-shared': ['seal'] },
    run: (attempt) => readAll(attempt, new URL(attempt.victim.firstPlacement.url)),
  },
  {
    name: 'the rows of an archive beside the tables that it replaces',
    layers: { restoring: ['closed archive', 'row security'] },
    run: (attempt) => attempt.search(union(`select '', name from ${copied(attempt)}`)),
  },
];

/** The seal that the victim had at first, on the backend of the statement, if that was open already. */
async function formerSeal({ lab, victim }: Attempt): Promise<string> {
  const { superuser, server, accountPlacement } = lab;
  const { serve } = server.app.services.fleet.installation.roles;
  const pids = await superuser.ask(
    accountPlacement,
    `select pid as row from pg_stat_activity where usename = '${serve}'`,
  );
  const seals = pids.map((pid) => {
    const seal = contextOf(victim.firstPlacement, tenantId(victim.id), Number(pid));
    return `when ${pid} then ${quoted(seal)}`;
  });
  return `case pg_backend_pid() ${seals.join(' ')} else '' end`;
}

/** The place where the rows of the move or the restore are made. */
function copy({ lab, victim }: Attempt): Placement {
  return lab.moving?.places.at(-1) ?? victim.placement;
}

function copied(attempt: Attempt): string {
  return `"${copy(attempt).schema}".pets`;
}

/** As the login of all tenants that have no database of their own, without a context. */
function asCommonLogin({ attacker }: Attempt, { database, schema }: Placement): URL {
  const url = new URL(attacker.placement.url);
  url.pathname = database;
  url.searchParams.set('options', `-c search_path=${schema}`);
  return url;
}
