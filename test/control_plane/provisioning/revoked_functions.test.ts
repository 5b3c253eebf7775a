import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Db } from '../../../src/kernel/ports.ts';
import { codeOf } from '../../../src/postgres/errors.ts';
import { type ServingContext, servingContexts } from '../../support/serving_tables.ts';
import { openTenantFixture, type TenantFixture } from '../../support/tenant_fixture.ts';

/**
 * Functions that a handler's role may call although their result depends on more than their
 * arguments. Each was reviewed: it only reads, or it checks a right of its own, or it reaches only
 * its own transaction.
 */
const harmless = new RegExp(
  `^(${[
    'amvalidate|array_sample|array_shuffle|clock_timestamp|current_query|gen_random_uuid|timeofday',
    'uuidv4|uuidv7|random|random_normal|setseed|pg_sleep(_for|_until)?|plpgsql_.*',
    // For sequences, indexes, slots and files: each checks a right on the object, or needs a
    // privileged role.
    'currval|lastval|nextval|setval|currtid2|brin_.*|gin_clean_pending_list|pg_sequence_last_value',
    'pg_get_sequence_data|pg_.*(replication|logical)_slot.*|pg_sync_replication_slots|pg_nextoid',
    'pg_logical_slot_.*|pg_read_file_old|pg_rotate_logfile_old|pg_stop_making_pinned_objects',
    'pg_import_system_collations|pg_extension_config_dump|pg_(clear|restore)_.*_stats',
    // Statistics of the server and of tables; none of them is a value of a row.
    'pg_(collation|database_collation)_actual_version|pg_control_.*|pg_current_wal_.*|pg_is_.*',
    'pg_(database|indexes|relation|table|tablespace|total_relation)_size|pg_get_wal_.*',
    'pg_last_.*|pg_notification_queue_usage|pg_partition_(ancestors|tree)|pg_prepared_xact',
    'pg_get_multixact_members|pg_jit_available|pg_available_wal_summaries|pg_wal_summary_contents',
    'pg_get_loaded_modules|pg_get_wait_events|pg_stat_.*|pg_xact_.*|txid_status|binary_upgrade_.*',
  ].join('|')})$`,
);

/** Calls, and the purpose of each. */
const attempts: Readonly<Record<string, (db: Db) => Promise<object[]>>> = {
  'lift its limits': (db) => db`select set_config('statement_timeout', '0', true)`,
  'write plans to the server log': (db) => db`select set_config('debug_print_plan', 'on', false)`,
  'run a query with query_to_xml()': (db) => db`select query_to_xml('select 1', true, false, '')`,
  'run a query with ts_stat()': (db) => db`select ts_stat('select ''a''::tsvector')`,
  'run a query with ts_rewrite()': (db) =>
    db`select ts_rewrite('a'::tsquery, 'select ''a'', ''b''')`,
  'read a whole table as XML': (db) => db`select table_to_xml('pg_class', true, false, '')`,
  'end sessions of the same login': (db) => db`
    select pg_terminate_backend(pid) from pg_stat_activity where usename = session_user`,
  'cancel statements': (db) => db`select pg_cancel_backend(pg_backend_pid())`,
  'fill the write-ahead log': (db) => db`select pg_logical_emit_message(false, 'x', 'y')`,
  'fill the write-ahead log with bytes': (db) =>
    db`select pg_logical_emit_message(true, 'x', '\\x00'::bytea)`,
  'export its snapshot': (db) => db`select pg_export_snapshot()`,
  'read the locks of other sessions': (db) => db`select * from pg_locks`,
};

describe('a statement of a tenant', () => {
  let fixture: TenantFixture;
  let all: ServingContext[];
  before(async () => {
    fixture = await openTenantFixture(2);
    all = await servingContexts(fixture);
  });
  after(() => fixture.close());

  /** The result of each call, in the placement of each tenant and in its account. */
  async function outcomes(attempt: (db: Db) => Promise<object[]>): Promise<string[]> {
    const results: string[] = [];
    for (const { placement, tenant } of all) {
      const done = fixture.allIn(placement).run(tenant, attempt);
      results.push(await done.then(() => 'done', codeOf));
    }
    return results;
  }

  for (const [what, attempt] of Object.entries(attempts)) {
    it(`cannot ${what}`, async () => {
      assert.deepEqual(
        await outcomes(attempt),
        all.map(() => '42501'),
      );
    });
  }

  it('can execute no volatile function outside the reviewed list', async () => {
    for (const { placement, name } of all) {
      const rows = await fixture.asSuperuser(
        placement,
        `select distinct proname as name
         from pg_proc
         where pronamespace = 'pg_catalog'::regnamespace and provolatile = 'v' and prokind = 'f'
           and prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
           and not 'internal'::regtype = any (proargtypes) and prorettype <> 'internal'::regtype
           and has_function_privilege('${placement.role}', oid, 'execute')`,
      );
      const unknown = rows.map(({ name }) => String(name)).filter((one) => !harmless.test(one));
      assert.deepEqual(unknown, [], name);
    }
  });

  it('control: can do four of these after the rights were granted to public', async () => {
    for (const { placement } of all) {
      await fixture.asSuperuser(
        placement,
        `do $$ declare one regprocedure; begin
           for one in select oid from pg_proc where pronamespace = 'pg_catalog'::regnamespace
             and proname in ('set_config', 'query_to_xml', 'pg_logical_emit_message', 'pg_lock_status')
           loop execute format('grant execute on function %s to public', one); end loop;
         end $$`,
      );
    }
    for (const what of [
      'lift its limits',
      'run a query with query_to_xml()',
      'fill the write-ahead log',
      'read the locks of other sessions',
    ] as const) {
      const attempt = attempts[what];
      assert.ok(attempt);
      assert.deepEqual(
        await outcomes(attempt),
        all.map(() => 'done'),
        what,
      );
    }
  });
});
