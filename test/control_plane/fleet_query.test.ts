/** A query for all tenants, with texts of an operator who is hostile or careless. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import {
  type FleetQuery,
  queryFleet,
  type TenantAnswer,
} from '../../src/control_plane/fleet_query.ts';
import { statementOf } from '../../src/control_plane/generated_sql.ts';
import { isolationModes } from '../../src/isolation/modes.ts';
import { openTenantDb, readAsTenant } from '../../src/isolation/tenant_db.ts';
import type { TenantRef } from '../../src/kernel/ports.ts';
import { parseSlug, type TenantId } from '../../src/kernel/tenant.ts';
import { causeOf, codeOf } from '../../src/postgres/errors.ts';
import { type DoctorFixture, openDoctorFixture } from '../support/doctor_fixture.ts';
import { lookInto } from '../support/sql.ts';
import { newestVersion } from '../support/tenant_files.ts';

type Known = TenantRef & { slug: string };

describe('queryFleet()', () => {
  let fixture: DoctorFixture;
  /** Two tenants of each mode, in the order of their slugs. */
  let tenants: readonly Known[];

  before(async () => {
    fixture = await openDoctorFixture();
    for (const isolation of isolationModes) {
      await fixture.services.onboarding.create(
        {
          slug: slugOf(`${isolation}-ark`),
          name: 'Ark',
          plan: 'basic',
          isolation,
          adminEmail: 'a@ark.example',
        },
        { requestId: null, idempotencyKey: null, rawBody: '' },
      );
    }
    tenants = await fixture.services.control<Known>`
      select id, slug, isolation, server, generation from control.tenants order by slug`;
  });
  after(() => fixture.close());

  async function query(text: string, wish: Partial<FleetQuery> = {}): Promise<TenantAnswer[]> {
    const { answers, count } = await queryFleet(fixture.services, {
      ...{ text, filter: {}, concurrency: 3, rows: 100 },
      ...wish,
    });
    const all = await allOf(answers);
    assert.equal(all.length, count);
    return all;
  }

  const changeTenant = (slug: string, change: string) =>
    fixture.run(fixture.names.main, `update control.tenants set ${change} where slug = '${slug}'`);

  it('answers for every tenant of every mode, in the order of the slugs', async () => {
    const answers = await query('select count(*) as pets, current_user as role from pets -- all');
    const { modes } = fixture.services.fleet;
    assert.deepEqual(
      answers,
      tenants.map((tenant) => ({
        slug: tenant.slug,
        rows: [{ pets: 1, role: modes.placementOf(tenant).role }],
        isCut: false,
      })),
    );
  });

  it('answers for the chosen tenants alone, and for suspended ones too', async () => {
    await changeTenant('schema-ark', "status = 'suspended'");
    const chosen = async (filter: FleetQuery['filter']) =>
      (await query('select 1', { filter })).map(({ slug }) => slug);
    assert.deepEqual(await chosen({ plan: 'basic' }), ['database-ark', 'schema-ark', 'shared-ark']);
    assert.deepEqual(await chosen({ isolation: 'schema' }), ['schema-ark', 'schema-zoo']);
    const slugs = [slugOf('shared-zoo'), slugOf('schema-ark')];
    assert.deepEqual(await chosen({ slugs }), ['schema-ark', 'shared-zoo']);
    assert.deepEqual(await chosen({ slugs, plan: 'basic' }), ['schema-ark']);
    await assert.rejects(chosen({ slugs: [slugOf('none-such')] }), /"none-such".*no such tenant/);
    await assert.rejects(chosen({ plan: 'none' }), { name: 'Refusal', code: 'invalid_input' });
    await changeTenant('schema-ark', "status = 'active'");
  });

  it('names tenants that fail or are too slow, and answers for the others', async () => {
    const [slow, wrong] = ['shared-zoo', 'database-ark'].map(
      (slug) => tenants.find((tenant) => tenant.slug === slug)?.id,
    );
    const answers = await query(
      `select 1 / (tenant_id <> '${wrong}')::int as one,
         case tenant_id when '${slow}' then pg_sleep(60) end
       from pets`,
    );
    const errors = answers.flatMap((one) => ('error' in one ? [[one.slug, one.error]] : []));
    assert.deepEqual(errors, [
      ['database-ark', 'division by zero'],
      ['shared-zoo', 'canceling statement due to statement timeout'],
    ]);
    assert.equal(answers.filter((one) => 'rows' in one && one.rows.length === 1).length, 4);
  });

  it('answers for the others when a value of one tenant has the code of a syntax error', async () => {
    const wrong = tenants.find(({ slug }) => slug === 'database-ark')?.id;
    for (const cast of ['to_tsquery(name)', 'name::regtype', "('$.' || name)::jsonpath"]) {
      const answers = await query(
        `select ${cast} from (
           select case tenant_id when '${wrong}' then 'a b (' else 'text' end as name from pets
         ) as named`,
      );
      const failed = answers.flatMap((one) => ('error' in one ? [one.slug] : []));
      assert.deepEqual(failed, ['database-ark'], cast);
    }
  });

  it('ends at the first tenant when the text itself cannot be parsed', async () => {
    await assert.rejects(query('select from where'), /^Error: Cannot query: syntax error/);
  });

  it('says why it does not ask a tenant', async () => {
    await changeTenant('schema-ark', "status = 'deleting'");
    await changeTenant('schema-zoo', "status = 'provisioning'");
    await changeTenant('shared-ark', 'schema_version = 1');
    await changeTenant('shared-zoo', 'schema_version = 99');
    const answers = await query('select 1');
    await changeTenant('schema-ark', "status = 'active'");
    await changeTenant('schema-zoo', "status = 'active'");
    await changeTenant('shared-ark', `schema_version = ${newestVersion}`);
    await changeTenant('shared-zoo', `schema_version = ${newestVersion}`);
    const reasons = answers.map((one) => ('rows' in one ? null : JSON.stringify(one)));
    assert.deepEqual(reasons.slice(0, 4), [
      null,
      null,
      '{"slug":"schema-ark","skipped":"it is being deleted"}',
      '{"slug":"schema-zoo","skipped":"it is being created"}',
    ]);
    const behind = `"shared-ark","error":".*schema version 1: they need .*; this one knows (\\d to )?${newestVersion}"`;
    assert.match(reasons[4] ?? '', new RegExp(behind));
    assert.match(reasons[5] ?? '', /"shared-zoo","error":".*schema version 99/);
  });

  it('bounds the rows of a tenant, and says that it did', async () => {
    const filter = { slugs: [slugOf('schema-zoo')] };
    const three = 'select generate_series(1, 3) as n;\n';
    const rows = [{ n: 1 }, { n: 2 }];
    assert.deepEqual(await query(three, { filter, rows: 2 }), [
      { slug: 'schema-zoo', rows, isCut: true },
    ]);
    const [whole] = await query(three, { filter, rows: 3 });
    assert.equal(whole && 'isCut' in whole && whole.isCut, false);
  });

  it('keeps columns of the same name apart', async () => {
    const [first] = await query('select 1 as n, 2 as n');
    assert.deepEqual(first && 'rows' in first && first.rows, [{ n: 1, n_2: 2 }]);
  });

  /** Statements that would write, or end the transaction, without the guards. */
  const writes = [
    "update pets set name = 'hacked'",
    "insert into pets (id, name, species) values (gen_random_uuid(), 'hacked', 'dog')",
    "with changed as (update pets set name = 'hacked' returning id) select id from changed",
    "select set_config('transaction_read_only', 'off', true); update pets set name = 'hacked'",
    "with open as materialized (select set_config('transaction_read_only', 'off', true)), changed as (update pets set name = 'hacked' from open returning pets.id) select id from changed",
    "commit; update pets set name = 'hacked'",
    "select 1) as result; commit; update pets set name = 'hacked'; select * from (select 1",
    "select 1) as result; set transaction read write; update pets set name = 'hacked'; select * from (select 1",
    'select 1 into hacked',
    'create table hacked ()',
    "do $$ begin update pets set name = 'hacked'; end $$",
    'drop table pets',
    'set role none',
    'reset role',
    'set transaction read write',
    'commit',
    'rollback',
    'begin',
    'select * from pets for update',
    'lock table pets',
    '',
  ];

  const hacked = async () => {
    const { main, own, schema } = fixture.names;
    const find = (database: string, table: string) =>
      lookInto(
        fixture.services.fleet.installation.adminUrlOf({ server: 'main', database }),
        (sql) => sql`select from ${sql.unsafe(table)} where name = 'hacked'`,
      );
    const found = [
      await find(main, 'shared.pets'),
      await find(main, `${schema}.pets`),
      await find(own, 'tenant.pets'),
    ];
    return found.flat().length;
  };

  it('refuses every text that would write or leave the transaction', async () => {
    for (const text of writes) {
      const outcome = await query(text, { filter: { plan: 'free' } }).catch(String);
      if (typeof outcome === 'string') assert.match(outcome, /^Error: Cannot query: [^\n]+$/, text);
      else
        assert.ok(
          outcome.every((one) => 'error' in one),
          text,
        );
    }
    assert.equal(await hacked(), 0);
  });

  it('cannot write even with a statement that may', async () => {
    const { connections, fleet } = fixture.services;
    for (const tenant of fixture.tenants) {
      const placement = fleet.modes.placementOf(tenant);
      for (const text of writes.slice(0, 5)) {
        const where = { id: tenant.id, placement };
        const reading = readAsTenant(connections, where, statementOf(text));
        await assert.rejects(reading, (error) =>
          /^(25006|42601|42501)$/.test(codeOf(causeOf(error))),
        );
      }
    }
    assert.equal(await hacked(), 0);
  });

  it('control: the same statement writes in a transaction that may write', async () => {
    const { connections, fleet } = fixture.services;
    for (const tenant of fixture.tenants) {
      const placement = fleet.modes.placementOf(tenant);
      await openTenantDb(connections, placement, tenant.id, (db) =>
        db.transaction((sql) => sql(statementOf(writes[0] ?? ''))),
      );
    }
    assert.equal(await hacked(), 3);
  });

  /** Texts that try to read other tenants' rows as well, and return the tenant of each row. */
  function readers(): string[] {
    const { app, account, schema } = fixture.names;
    const other = fixture.tenants[0]?.id;
    const setting = (name: string, value: string) =>
      `with changed as materialized (select set_config('${name}', '${value}', true))
       select tenant_id from changed, pets`;
    return [
      'select tenant_id from pets',
      'select tenant_id from shared.pets',
      `select tenant_id from ${schema}.pets`,
      setting('kennel.tenant', `${other}.00`),
      setting('role', 'none'),
      setting('role', app),
      setting('role', account),
      setting('search_path', 'shared'),
      setting('row_security', 'off'),
      'select id as tenant_id from control.tenants',
      "select tenant_id from pets) as pets, (select set_config('role', 'none', true)",
    ];
  }

  /** The tenants whose rows another tenant's answer has. */
  async function leaks(): Promise<string[]> {
    const leaked: string[] = [];
    for (const text of readers()) {
      for (const answer of await query(text, { filter: { plan: 'free' } })) {
        const { id } = tenants.find(({ slug }) => slug === answer.slug) ?? {};
        const rows = 'rows' in answer ? answer.rows : [];
        leaked.push(...rows.flatMap((row) => (isOf(row, id) ? [] : [`${answer.slug}: ${text}`])));
      }
    }
    return leaked;
  }

  const isOf = (row: object, id: TenantId | undefined) =>
    'tenant_id' in row && row.tenant_id === id;

  it('shows each tenant its own rows alone, whatever the text', async () => {
    assert.deepEqual(await leaks(), []);
  });

  it('control: without row security the same texts show rows of other tenants', async () => {
    const { main } = fixture.names;
    await fixture.run(main, 'alter table shared.pets disable row level security');
    const leaked = await leaks();
    await fixture.run(main, 'alter table shared.pets enable row level security');
    assert.ok(leaked.some((line) => line.startsWith('shared-zoo')));
  });

  it('asks a tenant that has moved meanwhile at its new place, and none that was deleted', async () => {
    const { moves, onboarding } = fixture.services;
    const [moved, deleted] = [slugOf('shared-ark'), slugOf('schema-ark')];
    const { answers } = await queryFleet(fixture.services, {
      ...{ text: 'select count(*) as pets from pets', concurrency: 3, rows: 100 },
      filter: { slugs: [moved, deleted] },
    });
    const { finished } = await moves.begin({
      ...{ slug: moved, to: 'schema', server: null, requestId: null },
    });
    await finished;
    await onboarding.remove(deleted, null);
    assert.deepEqual(await allOf(answers), [
      { slug: deleted, skipped: 'it was deleted' },
      { slug: moved, rows: [{ pets: 1 }], isCut: false },
    ]);
  });
});

function slugOf(text: string) {
  const slug = parseSlug(text);
  assert.ok(slug);
  return slug;
}

async function allOf(answers: AsyncIterable<TenantAnswer>): Promise<TenantAnswer[]> {
  const all: TenantAnswer[] = [];
  for await (const answer of answers) all.push(answer);
  return all;
}
