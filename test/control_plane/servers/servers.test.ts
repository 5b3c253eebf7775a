/** Servers are added, filled, drained and removed; each work on tenants reaches those of every server. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { readConfig } from '../../../src/config.ts';
import { importTenant } from '../../../src/control_plane/archive/import_tenant.ts';
import { examine } from '../../../src/control_plane/doctor/doctor.ts';
import { findingLine } from '../../../src/control_plane/doctor/finding.ts';
import { queryFleet } from '../../../src/control_plane/fleet_query.ts';
import { rotateSeals } from '../../../src/control_plane/keys/rotate_seals.ts';
import { asOwner } from '../../../src/control_plane/keys/seal_keys.ts';
import { migrateFleet, type Outcome } from '../../../src/control_plane/migrations/migrate.ts';
import type { MoveStep } from '../../../src/control_plane/moves/move_job.ts';
import { claimSlug } from '../../../src/control_plane/provisioning/tenant_record.ts';
import { addServer } from '../../../src/control_plane/servers/add_server.ts';
import { drainServer } from '../../../src/control_plane/servers/drain_server.ts';
import { loseServer } from '../../../src/control_plane/servers/lose_server.ts';
import { removeServer } from '../../../src/control_plane/servers/remove_server.ts';
import { resumeServer } from '../../../src/control_plane/servers/resume_server.ts';
import { listServers } from '../../../src/control_plane/servers/server_list.ts';
import type { TenantRef } from '../../../src/kernel/ports.ts';
import { limits } from '../../../src/limits.ts';
import { codeOf } from '../../../src/postgres/errors.ts';
import { openServices, type Services } from '../../../src/services.ts';
import { addPet } from '../../contract/isolation_probes.ts';
import { createAdministrator } from '../../support/administrator.ts';
import { exportTo } from '../../support/archives.ts';
import { slugOf } from '../../support/more_tables.ts';
import { moverOf } from '../../support/mover.ts';
import { leftOver } from '../../support/moving_fixture.ts';
import { type TestDatabase, testDatabase } from '../../support/postgres.ts';
import { type SecondServer, startSecondServer } from '../../support/second_server.ts';
import { lookInto } from '../../support/sql.ts';
import { addMigration } from '../../support/tenant_files.ts';
import { forLateWrites, theTrail, tracesOf } from '../../support/traces.ts';
import { until } from '../../support/until.ts';

describe('servers', () => {
  let database: TestDatabase;
  let second: SecondServer;
  let folder: string;
  let services: Services;
  const opened: Services[] = [];
  before(async () => {
    [database, second] = await Promise.all([testDatabase(), startSecondServer()]);
    folder = await mkdtemp(join(tmpdir(), 'kennel-servers-'));
    services = await open();
  });
  after(async () => {
    for (const one of opened) one.close();
    await Promise.all([database?.drop(), second?.stop(), rm(folder, { recursive: true })]);
  });

  async function open(sqlFolder = 'sql'): Promise<Services> {
    const config = { ...readConfig({ DATABASE_URL: database.url }), sqlFolder };
    const services = await openServices(config, database.url);
    // A busy machine may take its time.
    services.fleet.probeConnection = { ...limits.adminConnection, connectTimeoutMs: 60_000 };
    opened.push(services);
    return services;
  }

  async function onboard(slug: string, server: string | null = null): Promise<TenantRef> {
    const order = { slug: slugOf(slug), name: slug, plan: 'free', isolation: 'database', server };
    await services.onboarding.create(
      { ...order, adminEmail: 'admin@zoo.example' },
      { requestId: null, idempotencyKey: null, rawBody: '' },
    );
    return find(slug);
  }

  /** With an Idempotency-Key: the same for each call. */
  function onboardWithKey(slug: string, server: string) {
    const order = { slug: slugOf(slug), name: slug, plan: 'free', isolation: 'database', server };
    return services.onboarding.create(
      { ...order, adminEmail: 'admin@zoo.example' },
      { requestId: null, idempotencyKey: `key of ${slug}`, rawBody: '' },
    );
  }

  async function find(slug: string): Promise<TenantRef> {
    const [tenant] = await services.control<TenantRef>`
      select id, isolation, server, generation from control.tenants where slug = ${slug}`;
    assert.ok(tenant);
    return tenant;
  }

  /** All of ours on the second server: roles and databases. */
  async function namesOnSecond(): Promise<string[]> {
    const rows = await lookInto(
      second.directUrl,
      (sql) => sql<{ name: string }[]>`
        select rolname as name from pg_roles where rolname not like 'pg\_%' and not rolsuper
        union all select datname from pg_database
        where starts_with(datname, ${services.fleet.installation.database})
        order by 1`,
    );
    return rows.map(({ name }) => name);
  }

  const countPets = async (slug: string) =>
    (await services.isolation.run(await find(slug), (db) => db`select id from pets`)).length;

  it('begin with the main one', async () => {
    const [main, ...others] = await listServers(services.fleet);
    assert.deepEqual(others, []);
    assert.deepEqual(
      [main?.name, main?.status, main?.tenants, main?.reachable],
      ['main', 'active', 0, true],
    );
  });

  it('are added once, and are not shown with their passwords', async () => {
    await addServer(services.fleet, { name: 'two', url: second.url });
    await addServer(services.fleet, { name: 'two', url: second.url });
    const [, two, ...others] = await listServers(services.fleet);
    assert.deepEqual([two?.name, two?.status, two?.reachable, others], ['two', 'active', true, []]);
    assert.equal(two?.url.includes(new URL(second.url).password), false);
    await assert.rejects(
      lookInto(
        services.fleet.installation.controlUrl,
        (sql) => sql`select url from control.servers`,
      ),
      { code: '42501' },
    );
  });

  it('keep no database of an addition that was killed', async () => {
    const { installation } = services.fleet;
    const left = installation.databaseNamed('probe_0123456789abcdef');
    await lookInto(second.url, (sql) => sql`create database ${sql(left)}`);
    await addServer(services.fleet, { name: 'two', url: second.url });
    assert.ok(!(await namesOnSecond()).includes(left));
  });

  it('are not added when they are known, or cannot be used', async () => {
    const add = (name: string, url: string) => addServer(services.fleet, { name, url });
    await assert.rejects(add('three', second.url), /it is the server "two"/);
    await assert.rejects(add('two', database.url), /or is the main server/);
    const url = new URL(await createAdministrator(second.url, 'nobody', ''));
    await assert.rejects(add('two', url.href), /its login lacks createrole and createdb/);
    url.password = 'wrong';
    await assert.rejects(add('two', url.href), /the password is wrong/);
    await lookInto(second.directUrl, async (sql) => {
      await sql`drop owned by nobody`;
      await sql`drop role nobody`;
    });
    const [, two] = await listServers(services.fleet);
    assert.equal(two?.url.includes('nobody'), false);
  });

  it('get new tenants in turn, the main one first', async () => {
    const placed: string[] = [];
    for (const slug of ['one', 'two', 'three', 'four']) placed.push((await onboard(slug)).server);
    assert.deepEqual(placed, ['main', 'two', 'main', 'two']);
    assert.deepEqual(
      (await listServers(services.fleet)).map(({ tenants }) => tenants),
      [2, 2],
    );
  });

  it("admit a tenant's login to its own database alone", async () => {
    const [two, four] = await Promise.all([find('two'), find('four')]);
    const { modes } = services.fleet;
    const [own, foreign] = [modes.placementOf(two), modes.placementOf(four)];
    const into = own.url.replace(`/${own.database}?`, `/${foreign.database}?`);
    assert.notEqual(into, own.url);
    const enter = () => lookInto(into, (sql) => sql`select 1`).then(() => 'entered', codeOf);
    assert.equal(await enter(), '42501');
    const run = (text: string) => lookInto(second.directUrl, (sql) => sql.unsafe(text));
    await run(`grant connect on database "${foreign.database}" to "${own.login}"`);
    assert.equal(await enter(), 'entered', 'control: the right to connect is what stops it');
    await run(`revoke connect on database "${foreign.database}" from "${own.login}"`);
  });

  it('have logins with passwords of their own', () => {
    const { installation } = services.fleet;
    const { migrate } = installation.roles;
    assert.notEqual(installation.password(migrate, 'two'), installation.password(migrate));
  });

  /** Without those about databases of other tests. */
  async function findings(): Promise<string[]> {
    const { database: main } = services.fleet.installation;
    const found = await examine(services, { databases: 2 });
    const isOurs = (name: string) => name === main || name.startsWith(`${main}_`);
    return found
      .filter(({ check, database }) => check !== 'foreign_database_open' || isOurs(database))
      .map(findingLine);
  }

  it('give the doctor no finding', async () => assert.deepEqual(await findings(), []));

  it('give the doctor no finding while a tenant moves to one of them, or away', async () => {
    const found = new Map<string, string[]>();
    const steps: MoveStep[] = ['provisioned', 'captured', 'fenced', 'switched', 'dropped'];
    for (const server of ['two', 'main']) {
      const onStep = async (step: MoveStep) => {
        if (steps.includes(step)) found.set(`${step} ${server}`, await findings());
      };
      const request = { slug: slugOf('one'), to: 'database', server, requestId: null };
      await (await services.moves.begin(request, { onStep })).finished;
    }
    const expected = ['two', 'main'].flatMap((server) =>
      steps.map((step) => [`${step} ${server}`, []]),
    );
    assert.deepEqual([...found], expected);
  });

  it('give the doctor their own findings', async () => {
    const { installation, modes } = services.fleet;
    const { migrate } = installation.roles;
    const placement = modes.placementOf(await find('two'));
    const alter = async (rights: string, to: string, force: string) => {
      await lookInto(second.directUrl, async (sql) => {
        await sql.unsafe(`alter role "${migrate}" ${rights}`);
        await sql.unsafe(`${to} public`.replace('own', `"${placement.database}"`));
      });
      await lookInto(installation.adminUrlOf(placement), (sql) =>
        sql.unsafe(`alter table tenant.pets ${force} row level security`),
      );
    };
    const errorsOf = async (server: string) =>
      (await examine(services, { databases: 2, server })).filter(
        ({ severity }) => severity === 'error',
      );
    await alter('createdb', 'grant connect on database own to', 'no force');
    const found = await errorsOf('two');
    assert.deepEqual(found.map(({ check }) => check).sort(), [
      ...['database_open', 'role_overprivileged', 'row_security_changed'],
    ]);
    assert.ok(found.every(({ where }) => where.startsWith('server two: ')));
    assert.deepEqual(await errorsOf('main'), []);
    await alter('nocreatedb', 'revoke connect on database own from', 'force');
    assert.deepEqual(await errorsOf('two'), []);
  });

  it('get the next key of a rotation', async () => {
    const two = await find('two');
    const { fleet, jobLocks } = services;
    const options = { propagationMs: 1, concurrency: 2, onProgress: () => {}, onWait: () => {} };
    await rotateSeals(fleet, jobLocks, options);
    services.connections.pool.closeIdle(fleet.modes.placementOf(two).url);
    assert.equal(await services.isolation.run(two, addPet).then(() => 'fine', codeOf), '42501');
    await services.refreshSeals();
    await services.isolation.run(two, addPet);
    assert.equal(await countPets('two'), 2);
  });

  it('are learned by another process', async () => {
    const other = await open();
    other.fleet.installation.useServers(new Map());
    const two = await find('two');
    await assert.rejects(async () => other.isolation.run(two, addPet), { code: 'unavailable' });
    await other.refreshSeals();
    await other.isolation.run(two, addPet);
    assert.equal(await countPets('two'), 3);
  });

  it('export, import, query and delete their tenants', async () => {
    const file = join(folder, 'two.archive');
    await exportTo(file, services, 'two');
    const parts = { ...services, serving: services.pools.serving };
    const options = {
      file,
      slug: slugOf('copy'),
      isolation: 'database',
      server: 'two',
      plan: null,
    };
    const { tenant } = await importTenant(parts, options);
    assert.equal(tenant.server, 'two');
    const { answers } = await queryFleet(services, {
      ...{ text: 'select count(*)::int as pets from pets', filter: {}, concurrency: 2, rows: 10 },
    });
    const counts: Record<string, unknown> = {};
    for await (const { slug, ...answer } of answers) counts[slug] = answer;
    assert.deepEqual(counts.copy, { rows: [{ pets: 3 }], isCut: false });
    const { database: own } = services.fleet.modes.placementOf(await find('copy'));
    assert.ok((await namesOnSecond()).includes(own));
    const receipt = await services.onboarding.remove(slugOf('copy'), null);
    assert.equal(receipt?.tables?.pets, 3);
    assert.ok(!(await namesOnSecond()).includes(own));
  });

  it('move their tenants to and from each mode', async () => {
    const tour = [
      ['shared', null],
      ['database', 'two'],
      ['database', 'main'],
      ['database', 'two'],
      ['schema', null],
      ['database', 'two'],
    ] as const;
    for (const [to, server] of tour) {
      const request = { slug: slugOf('four'), to, server, requestId: null };
      const move = await (await services.moves.begin(request)).finished;
      assert.deepEqual([move.state, move.server], ['done', server === 'main' ? null : server]);
      assert.equal(await countPets('four'), 1);
    }
    const own = services.fleet.modes.placementOf(await find('four'));
    const names = (await namesOnSecond()).filter((name) => name.includes('_t_'));
    assert.deepEqual(
      names.filter((name) => name === own.database),
      [own.database, own.login],
    );
    assert.equal(names.length, 4, 'two databases, and two logins');
  });

  it('fail alone when they are down', async () => {
    const sqlFolder = join(folder, 'sql');
    await cp('sql', sqlFolder, { recursive: true });
    await addMigration(
      sqlFolder,
      'note',
      '-- Servers: compatible with the version before\nalter table pets add column note text;\n',
    );
    const newer = await open(sqlFolder);
    const migrate = (): Promise<Outcome> =>
      migrateFleet(newer.fleet, newer.control, newer.jobLocks, {
        ...{ ...limits.migrations, heartbeatTimeoutMs: 1, canary: 0, concurrency: 4 },
        onProgress: () => {},
      });
    await second.cutOff();

    const findings = await examine(newer, { databases: 2, server: 'two' });
    assert.deepEqual(
      findings.map(({ check, where }) => [check, where]),
      [['server_unreachable', 'server two']],
    );
    const parked = await migrate();
    assert.deepEqual(parked.failed.map(({ name }) => name).sort(), ['four', 'two']);
    for (const { error } of parked.failed) {
      assert.match(error, /^the server "two" could not be reached: /);
    }
    const rotated = rotateSeals(services.fleet, services.jobLocks, {
      ...{ propagationMs: 1, concurrency: 2, onProgress: () => {}, onWait: () => {} },
    });
    await assert.rejects(rotated, /Cannot write the keys to every database: .*server two/);
    const [stuck] = (await drainServer(newer, 'two')).failed;
    assert.match(stuck?.error ?? '', /The server "two" cannot be used: /);
    assert.equal(await newer.moves.find(slugOf('two')), null);
    await resumeServer(newer.fleet, 'two');
    for (const slug of ['five', 'six']) assert.equal((await onboard(slug)).server, 'main');
    await assert.rejects(onboard('seven', 'two'), { code: 'unavailable' });
    const [, two] = await listServers(services.fleet);
    assert.deepEqual([two?.status, two?.reachable], ['active', false]);
    await assert.rejects(removeServer(services.fleet, 'two'), /2 tenants live there/);

    await second.comeBack();
    // A pool does not try a server again that was unreachable a moment ago.
    await until(async () => (await migrate()).failed.length === 0);
    services = newer;
  });

  it('are drained, resumed, drained again and removed', async () => {
    const { fleet } = services;
    await assert.rejects(removeServer(fleet, 'two'), { code: 'conflict' });
    const answered = await onboardWithKey('with-key', 'two');
    assert.deepEqual(await drainServer(services, 'two'), { moved: 3, failed: [], left: 0 });
    assert.equal((await find('two')).server, 'main');
    await assert.rejects(drainServer(services, 'main'), /there is no other active server/);
    await assert.rejects(onboard('eight', 'two'), /is being drained/);
    // The first answer has the tenant's only key.
    assert.deepEqual(await onboardWithKey('with-key', 'two'), answered);
    assert.equal((await services.onboarding.remove(slugOf('with-key'), null))?.slug, 'with-key');
    await resumeServer(fleet, 'two');
    assert.equal((await onboard('eight')).server, 'two');
    assert.deepEqual(await drainServer(services, 'two'), { moved: 1, failed: [], left: 0 });
    await removeServer(fleet, 'two');
    assert.deepEqual(await namesOnSecond(), []);
    await assert.rejects(removeServer(fleet, 'two'), /there is no such server/);
    await assert.rejects(removeServer(fleet, 'main'), /it has the registry/);
  });

  /** Begins to move a tenant, and ends without a word after a step. */
  async function killMove(slug: string, to: [mode: string, server: string], at: MoveStep) {
    const { moves, kill } = moverOf(services);
    const [isolation, server] = to;
    const request = { slug: slugOf(slug), to: isolation, server, requestId: null };
    const onStep = (step: MoveStep) => {
      if (step !== at) return;
      kill();
      throw new Error('killed');
    };
    const move = await moves.begin(request, { onStep });
    await move.finished.catch(() => {});
  }

  const stateOf = async (slug: string) => (await services.moves.find(slugOf(slug)))?.state;

  it('take no tenants that were placed there a moment before they are drained', async () => {
    const { fleet, control } = services;
    await addServer(fleet, { name: 'two', url: second.url });
    await drainServer(services, 'two');
    const late = { name: 'late', plan: 'free', isolation: 'database', server: 'two' };
    const order = { ...late, slug: slugOf('late'), adminEmail: 'admin@zoo.example' };
    const meta = { requestId: null, idempotencyKey: null, rawBody: '' };
    await assert.rejects(claimSlug(control, order, meta, randomUUID), { code: 'conflict' });
    await resumeServer(fleet, 'two');
  });

  it('keep their URL when another server has their name', async () => {
    const { fleet } = services;
    const { owner } = fleet.installation.roles;
    await onboard('kept', 'two');
    const mark = await lookInto(
      second.directUrl,
      (sql) => sql`select shobj_description(${owner}::regrole, 'pg_authid') as mark`,
    );
    const setMark = (text: string) =>
      lookInto(second.directUrl, (sql) => sql.unsafe(`comment on role "${owner}" is '${text}'`));
    const own = String(mark[0]?.mark);
    await setMark(own.replace(/id .*/, `id ${randomUUID()}`));
    await assert.rejects(
      addServer(fleet, { name: 'two', url: second.directUrl }),
      /there is another server of that name, with its own databases/,
    );
    const urlOf = async () => {
      const [row] = await lookInto(
        database.url,
        (sql) => sql<{ url: string }[]>`select url from control.servers where name = 'two'`,
      );
      return row?.url;
    };
    assert.equal(await urlOf(), second.url);
    await setMark(own);
    await addServer(fleet, { name: 'two', url: second.directUrl });
    assert.equal(await urlOf(), second.directUrl);
    await addServer(fleet, { name: 'two', url: second.url });
  });

  it('end the work on them when they hang, and only that', async () => {
    const { fleet, moves, onboarding, watch } = services;
    const { probeConnection } = fleet;
    await onboard('hanging', 'main');
    await onboard('another', 'main');
    const onStep = (step: MoveStep) => {
      if (step !== 'copied') return;
      fleet.probeConnection = { ...probeConnection, connectTimeoutMs: 100 };
      second.hang();
    };
    const request = { slug: slugOf('hanging'), to: 'database', server: 'two', requestId: null };
    const { finished } = await moves.begin(request, { onStep });
    const ended = finished.then(
      () => 'moved',
      (error: Error) => error.message,
    );
    let outcome: string | null = null;
    void ended.then((message) => {
      outcome = message;
    });
    await until(async () => (await stateOf('hanging')) === 'catching_up');
    await until(async () => {
      await watch.look();
      return outcome !== null;
    });
    assert.match(await ended, /The server "two" cannot be used/);

    await assert.rejects(moves.recover(), /The server "two" cannot be used/);
    await assert.rejects(onboarding.remove(slugOf('kept'), null), /cannot be used/);
    await assert.rejects(onboarding.remove(slugOf('hanging'), null), /cannot be used/);
    await lookInto(database.url, async (sql) => {
      await sql`update control.tenants set status = 'deleting' where slug in ('kept', 'another')`;
    });
    await assert.rejects(onboarding.recover(), /The server "two" cannot be used/);
    assert.equal(await services.registry.find(slugOf('another')), null);

    fleet.probeConnection = probeConnection;
    await second.comeBack();
    const isFine = () => true;
    const isNot = () => false;
    await until(() => moves.recover().then(isFine, isNot));
    assert.equal(await stateOf('hanging'), 'failed');
    assert.equal(await countPets('hanging'), 1);
    await until(() => onboarding.recover().then(isFine, isNot));
    assert.equal(await services.registry.find(slugOf('kept')), null);
    assert.deepEqual(
      (await namesOnSecond()).filter((name) => name.includes('_t_')),
      [],
    );
  });

  it('are given up with their tenants when they are lost, and everything else is free', async () => {
    const { fleet, control, moves } = services;
    for (const slug of ['lost', 'leaving']) await onboard(slug, 'two');
    for (const slug of ['left', 'arriving', 'staying']) await onboard(slug, 'main');
    const move = (slug: string, to: string, server: string) =>
      moves.begin({ slug: slugOf(slug), to, server, requestId: null });
    await (await move('left', 'database', 'two')).finished;
    await (await move('arriving', 'shared', 'main')).finished;
    await killMove('leaving', ['schema', 'main'], 'copied');
    await killMove('left', ['schema', 'main'], 'switched');
    await killMove('arriving', ['database', 'two'], 'writes stopped');
    await killMove('staying', ['shared', 'main'], 'captured');
    const leaving = await find('leaving');
    await assert.rejects(loseServer(services, 'two'), /it answers; drain and remove it, or resume/);
    await assert.rejects(loseServer(services, 'main'), /it has the registry/);

    await second.cutOff();
    await assert.rejects(removeServer(fleet, 'two'), { code: 'conflict' });
    await giveUpTooEarly();
    // Moves to and from it do not come before those that can be recovered.
    const { moves: one, kill } = moverOf(services);
    await until(async () => {
      await assert.rejects(one.recover(), /The server "two" cannot be used/);
      return (await stateOf('staying')) === 'failed';
    });
    kill();
    // A tenant on its way there can write again, although its move cannot be undone yet.
    await until(async () => {
      await assert.rejects(moves.recover(), /The server "two" cannot be used/);
      const written = services.isolation.run(await find('arriving'), addPet);
      return written.then(
        () => true,
        () => false,
      );
    });
    assert.equal(await stateOf('arriving'), 'copying');
    const deleted: string[] = [];
    // The sessions of killed processes may still hold their locks.
    await until(async () => {
      const lost = await loseServer(services, 'two').catch(() => null);
      deleted.push(...(lost?.deleted ?? []).map(({ slug, tables }) => `${slug} ${tables}`));
      return lost?.left === null;
    });
    assert.deepEqual(deleted.sort(), ['leaving null', 'lost null']);
    assert.equal((await listServers(fleet)).length, 1);
    const events = await control<{ tenant: string }>`
      select tenant from control.audit_events
      where event = 'tenant_deleted' and details ->> 'lost_server' = 'two' order by tenant`;
    assert.deepEqual(events, [{ tenant: 'leaving' }, { tenant: 'lost' }]);
    assert.equal(await stateOf('arriving'), 'failed');
    assert.equal(await stateOf('left'), 'done');
    for (const slug of ['arriving', 'left']) {
      assert.deepEqual(await leftOver(fleet, await find(slug)), []);
      if (slug === 'left') await services.isolation.run(await find(slug), addPet);
      await (await move(slug, 'database', 'main')).finished;
      assert.equal(await countPets(slug), 2);
      assert.ok(await services.onboarding.remove(slugOf(slug), null));
    }
    assert.deepEqual(
      (await tracesOf(database.url, [leaving.id])).filter(
        (trace) => ![...theTrail, forLateWrites].includes(trace),
      ),
      [],
    );
    await second.comeBack();
    await addServer(fleet, { name: 'two', url: second.url });
    assert.equal((await onboard('again', 'two')).server, 'two');
  });

  /** A command that was killed, and a server that was not lost after all. */
  async function giveUpTooEarly(): Promise<void> {
    const { fleet } = services;
    await asOwner(
      fleet,
      (sql) => sql`update control.servers set status = 'lost' where name = 'two'`,
    );
    await assert.rejects(
      resumeServer(fleet, 'two'),
      /Cannot resume the server "two": the connection/,
    );
    await second.comeBack();
    await assert.rejects(loseServer(services, 'two'), /it answers; drain and remove it, or resume/);
    await resumeServer(fleet, 'two');
    assert.equal(await countPets('lost'), 1);
    await second.cutOff();
  }
});
