import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { connect } from 'node:net';
import { after, afterEach, before, beforeEach, describe, it, type TestContext } from 'node:test';
import postgres from 'postgres';
import { Connection, type ConnectionLimits } from '../../src/postgres/connection.ts';
import { databaseOf } from '../../src/postgres/installation.ts';
import { connectionLimits } from '../support/connection.ts';
import { envelopeOf, envelopeWith } from '../support/envelopes.ts';
import { hostileTexts } from '../support/hostile_texts.ts';
import { inPublic, type TestDatabase, testDatabase } from '../support/postgres.ts';
import { startTcpServer } from '../support/tcp_server.ts';
import { until } from '../support/until.ts';

/** Short, because tests wait for it; yet a busy machine opens a connection within it. */
const shortCallMs = 500;

/** An envelope around any statements. */
const plain = envelopeOf({ 'kennel.tenant': 'anybody' });

const unavailable = { name: 'Refusal', code: 'unavailable' };

// A connection must not have a call that never ends: such a call fails the suite and does not hang
// it.
describe('Connection', { timeout: 120_000 }, () => {
  let database: TestDatabase;
  let connections: Connection[] = [];
  let connection: Connection;
  before(async () => {
    database = await testDatabase();
    const setUp = await open();
    await setUp.script(`
      create table pets (name text);
      create function fail(code text) returns void language plpgsql
      as $$ begin raise exception using errcode = code; end $$`);
  });
  after(() => database.drop());
  beforeEach(async () => {
    connection = await open();
  });
  afterEach(() => {
    for (const opened of connections) opened.close();
    connections = [];
  });

  async function open(limits: Partial<ConnectionLimits> = {}): Promise<Connection> {
    const opened = await Connection.open(inPublic(database), { ...connectionLimits, ...limits });
    connections.push(opened);
    return opened;
  }

  it('knows its login also by a URL with several hosts', async () => {
    const { hostname, port, username } = new URL(database.url);
    const one = `${hostname}:${port}`;
    const url = inPublic({ url: database.url.replace(`@${one}`, `@${one},${one}`) });
    const opened = await Connection.open(url, connectionLimits);
    assert.equal(opened.backend.login, decodeURIComponent(username));
    opened.close();
  });

  /** A statement in the form that `connection.statement` takes. */
  function text(strings: TemplateStringsArray, ..._values: unknown[]): TemplateStringsArray {
    return strings;
  }

  async function terminate({ pid }: Connection): Promise<void> {
    await (await open()).plain`select pg_terminate_backend(${pid})`;
  }

  it('returns dates as text, timestamps in ISO 8601 and counts as numbers', async () => {
    const [row] = await connection.plain`
      select date '2024-02-29' as date, timestamptz '2024-02-29 12:00+02' as instant,
        timestamptz 'infinity' as never, count(*) as count, '\\x00ff'::bytea as bytes`;
    assert.deepEqual(
      { ...row },
      {
        date: '2024-02-29',
        instant: '2024-02-29T10:00:00.000Z',
        never: 'infinity',
        count: 1,
        bytes: Buffer.from([0, 255]),
      },
    );
  });

  describe('takes a list as one parameter', () => {
    it('with any text as an element', async () => {
      const rows = await connection.plain<{ element: string }>`
        select element from unnest(${hostileTexts}::text[]) with ordinality as list (element, place)
        order by place`;
      assert.deepEqual(
        rows.map(({ element }) => element),
        hostileTexts,
      );
    });

    it('whose type the server finds, or the statement says', async () => {
      const id = '0190a6e0-0000-7000-8000-000000000001';
      const [row] = await connection.plain`
        select ${id}::uuid = any (${[id]}) as uuid, 2 = any (${['1', '2']}) as int,
          9007199254740993 = any (${['9007199254740993']}) as bigint,
          'a' = any (${['a']}::text[]) as text, name 'a' = any (${['a']}) as name,
          'a' = any (${[]}::text[]) as none`;
      const found = { uuid: true, int: true, bigint: true, text: true, name: true, none: false };
      assert.deepEqual({ ...row }, found);
    });

    it('and refuses a zero byte in it as in a text, without harm to the session', async () => {
      for (const value of ['a\0b', ['a', '\0']]) {
        await assert.rejects(connection.plain`select ${value}::text`, { code: '22021' });
      }
      assert.equal(connection.live, true);
    });
  });

  describe('discard()', () => {
    /** Everything that statements of others may leave in a session. */
    const leave = `set statement_timeout = 12345; set search_path = pg_temp; set x.y = 'left';
      create temporary table left_behind (); prepare left_behind as select 1; listen left_behind;
      declare left_behind cursor with hold for select 1;
      select pg_advisory_lock(1); set role pg_monitor`;

    const state = () => connection.plain`
      select current_user as role, current_setting('statement_timeout') as timeout,
        current_setting('search_path') as path, coalesce(current_setting('x.y', true), '') as setting,
        (select count(*) from pg_class where relname = 'left_behind') as tables,
        (select count(*) from pg_prepared_statements where name = 'left_behind') as statements,
        (select count(*) from pg_cursors) as cursors,
        (select count(*) from pg_listening_channels()) as channels,
        (select count(*) from pg_locks
          where locktype = 'advisory' and pid = pg_backend_pid()) as locks`;

    it('makes a session as it was at its start, and usable again', async () => {
      const atStart = await state();
      await connection.script(leave);
      await connection.discard();
      assert.deepEqual(await state(), atStart);
      assert.deepEqual(await connection.statement(plain, text`select 1 as one`, []), [{ one: 1 }]);
      const rows = await connection.transaction(plain, (sql) => sql`select 2 as two`);
      assert.deepEqual(rows, [{ two: 2 }]);
    });

    it('control: without it every part of the state is left', async () => {
      const [atStart = {}] = await state();
      await connection.script(leave);
      const [left = {}] = await state();
      const kept = Object.entries(left).filter(([name, value]) =>
        Object.entries(atStart).some(([other, before]) => other === name && before === value),
      );
      assert.deepEqual(kept, []);
    });
  });

  it('commits a statement in its envelope', async () => {
    await connection.statement(plain, text`insert into pets values ('Rex')`, []);
    const rows = await (await open()).plain`delete from pets returning name`;
    assert.deepEqual(
      rows.map((row) => ({ ...row })),
      [{ name: 'Rex' }],
    );
  });

  describe('reads of one event loop turn', () => {
    const slowly = text`select pg_sleep(0.01), current_setting('kennel.tenant') as tenant`;
    const opening = (tenant: string) => envelopeOf({ 'kennel.tenant': tenant });

    it('each see their own context', async () => {
      const tenants = ['a', 'b', 'c', 'd'];
      const reads = tenants.map((tenant) =>
        connection.statement<{ tenant: string }>(opening(tenant), slowly, []),
      );
      const seen = (await Promise.all(reads)).map(([row]) => row?.tenant);
      assert.deepEqual(seen, tenants);
    });

    it('fail alone when their own statement fails', async () => {
      const [good, bad, next] = await Promise.allSettled([
        connection.statement(opening('a'), slowly, []),
        connection.statement(opening('b'), text`select 1 / 0`, []),
        connection.statement<{ tenant: string }>(opening('c'), slowly, []),
      ]);
      assert.equal(good.status, 'fulfilled');
      assert.equal(bad.status === 'rejected' && bad.reason.code, '22012');
      assert.equal(next.status === 'fulfilled' && next.value[0]?.tenant, 'c');
      assert.equal(connection.live, true);
    });

    it('return no rows after a context that failed, and end the connection', async () => {
      const reads = [opening('a'), envelopeWith('select 1 / 0'), opening('c')].map((envelope) =>
        connection.statement(envelope, text`select 1`, []),
      );
      const [first, ...others] = await Promise.allSettled(reads);
      assert.equal(first?.status, 'fulfilled');
      assert.deepEqual(
        others.map(({ status }) => status),
        ['rejected', 'rejected'],
      );
      assert.equal(connection.live, false);
    });

    it('return no rows when their own context failed', async () => {
      await assert.rejects(connection.statement(envelopeWith('select 1 / 0'), text`select 1`, []));
      assert.equal(connection.live, false);
    });

    it('are refused as unavailable after a statement that ends the connection', async () => {
      for (const violation of [text`select fail('42501')`, text`commit`]) {
        const behind = await open();
        const [culprit, bystander] = await Promise.allSettled([
          behind.statement(opening('a'), violation, []),
          behind.statement(opening('b'), slowly, []),
        ]);
        assert.notEqual(culprit.status === 'rejected' && culprit.reason.code, 'unavailable');
        assert.equal(bystander.status === 'rejected' && bystander.reason.code, 'unavailable');
      }
    });

    it('end before a transaction is sent', async () => {
      // Postgres refuses to begin such a transaction within one that has read.
      const own = "begin not deferrable; set local kennel.tenant = 'b'";
      const reader = text`select current_setting('kennel.tenant') as tenant`;
      const read = connection.statement(opening('a'), slowly, []);
      const other = connection.transaction(own, (sql) => sql<{ tenant: string }>(reader));
      const [rows] = await Promise.all([other, read]);
      assert.equal(rows[0]?.tenant, 'b');
    });

    describe('when the server no longer knows a statement', () => {
      /** A sequence keeps its count, whatever the outcome of the transaction. */
      const note = text`select nextval('public.' || current_setting('kennel.tenant'))`;
      const firstSeen = text`select ${1}::int as first_seen`;
      before(async () => {
        await (await open()).script('create sequence thief; create sequence victim');
      });

      it('do not run it in the next envelope, and the connection ends', async () => {
        await connection.statement(opening('thief'), note, []);
        await connection.script('deallocate s1');
        const [thief, victim] = await Promise.allSettled([
          connection.statement(opening('thief'), note, []),
          connection.statement(opening('victim'), firstSeen, [1]),
        ]);
        assert.equal(thief.status === 'rejected' && thief.reason.code, '26000');
        assert.equal(victim.status === 'rejected' && victim.reason.code, 'unavailable');
        assert.equal(connection.live, false);
        assert.equal(await hasNotedVictim(connection.pid), false);
      });

      it('control: postgres.js runs it in the next envelope', async (t) => {
        const client = postgres(database.url, { max: 1, fetch_types: false });
        t.after(() => client.end({ timeout: 0 }));
        const [backend] = await client<{ pid: number }[]>`select pg_backend_pid() as pid`;
        const sql = await client.reserve();
        const begin = (tenant: string) => `begin; set local kennel.tenant = '${tenant}'`;
        const send = (message: string) => void sql.unsafe(message).catch(() => {});
        await sql.unsafe(`set kennel.tenant = 'thief'`);
        await sql(note);
        await sql.unsafe('deallocate all');
        send(begin('thief'));
        const theft = sql(note).catch(() => {});
        send(`commit; ${begin('victim')}`);
        await Promise.all([theft, sql(firstSeen, 1).catch(() => {})]);
        await client.end({ timeout: 0 });
        assert.equal(await hasNotedVictim(backend?.pid ?? 0), true);
      });

      /** Asked once the session has ended. */
      async function hasNotedVictim(pid: number): Promise<boolean | undefined> {
        const witness = await open();
        await until(async () => {
          return (
            (await witness.plain`select from pg_stat_activity where pid = ${pid}`).length === 0
          );
        });
        const [row] = await witness.plain<{ is_called: boolean }>`select is_called from victim`;
        return row?.is_called;
      }
    });

    it('do not get the error of another statement', async () => {
      const [own, other] = await Promise.allSettled([
        connection.statement(opening('a'), text`select fail('42501')`, []),
        connection.statement(opening('b'), text`select 1`, []),
      ]);
      assert.equal(own.status === 'rejected' && own.reason.code, '42501');
      assert.equal(other.status === 'rejected' && other.reason.code, 'unavailable');
    });
  });

  it('sends a script of 2 000 characters at once', async () => {
    await connection.script(`select '${'x'.repeat(2_000)}'`);
  });

  describe('stays usable', () => {
    afterEach(async () => {
      assert.equal(connection.live, true);
      assert.deepEqual(
        [...(await connection.plain`select ${'in step'} as answer`)],
        [{ answer: 'in step' }],
      );
    });

    it('after an error of a statement', async () => {
      for (const code of ['22012', '23514', 'P0001']) {
        await assert.rejects(connection.plain`select fail(${code})`, { code });
        await assert.rejects(connection.statement(plain, text`select 1 / 0`, []), {
          code: '22012',
        });
      }
    });

    it('after a statement that reached its timeout', async () => {
      const slow = connection.statement(
        envelopeOf({ statement_timeout: '20' }),
        text`select pg_sleep(5)`,
        [],
      );
      await assert.rejects(slow, unavailable);
    });

    it('after a script that failed in a transaction of its own', async () => {
      await assert.rejects(
        connection.script(`begin; insert into pets values ('Rex'); select 1 / 0`),
      );
      assert.equal((await connection.plain`select from pets`).length, 0);
    });

    it('after parameters of a wrong type, which are not sent', async () => {
      for (const value of [undefined, {}, [1], 1n, Symbol(), new Date(), () => {}]) {
        const attempt = Reflect.apply(connection.plain, connection, [text`select ${''}`, value]);
        await assert.rejects(attempt, TypeError);
      }
    });

    it('after a wrong parameter of a prepared statement', async () => {
      const misfit = () => connection.statement(plain, text`select ${1}::bytea as bytes`, [1]);
      for (let turn = 0; turn < 3; turn += 1) await misfit();
      const wrong = () => connection.statement(plain, text`select ${'x'}::uuid`, ['x']);
      for (let turn = 0; turn < 3; turn += 1) await assert.rejects(wrong(), { code: '22P02' });
    });
  });

  it('does not prepare a statement whose text is built at run time', async () => {
    const made = Object.assign([`select 'what a tenant has sent'`], { raw: [] });
    await connection.statement(plain, made, []);
    const kept = await connection.plain`
      select from pg_prepared_statements where statement like '%what a tenant has sent%'`;
    assert.equal(kept.length, 1, 'only the one that looks');
  });

  it('runs nothing more of a transaction whose first statement could not be sent', async () => {
    const work = connection.transaction(plain, async (sql) => {
      await assert.rejects(sql`select '\0'`, TypeError);
      await sql`select set_config('x.y', 'outside', false)`;
    });
    await assert.rejects(work, { message: /its transaction has ended$/ });
    assert.deepEqual(await connection.plain`select current_setting('x.y', true) as set`, [
      { set: null },
    ]);
  });

  it('ignores the transaction defaults of the database', async (t) => {
    const name = databaseOf(database.url);
    const change = (what: string) => connection.script(`alter database "${name}" ${what}`);
    await change('set default_transaction_isolation = serializable');
    await change('set default_transaction_deferrable = on');
    await change('set default_transaction_read_only = on');
    t.after(async () => {
      const fixer = await open();
      await fixer.script('set default_transaction_read_only = off');
      await fixer.script(`alter database "${name}" reset all`);
    });
    const later = await open();
    const settings = text`
      select current_setting('transaction_isolation') as isolation,
        current_setting('transaction_read_only') as "readOnly",
        current_setting('transaction_deferrable') as deferrable`;
    const [row] = await later.statement(plain, settings, []);
    assert.deepEqual(row, { isolation: 'read committed', readOnly: 'off', deferrable: 'off' });
  });

  describe('is never used again', () => {
    afterEach(async () => {
      assert.equal(connection.live, false);
      await assert.rejects(connection.plain`select 1`, unavailable);
    });

    for (const code of ['42501', '25P01', '26000', '0A000']) {
      it(`after ${code}`, () => assert.rejects(connection.plain`select fail(${code})`, { code }));

      it(`after ${code} in a transaction, which rejects with it`, async () => {
        const work = connection.transaction('begin', (sql) => sql`select fail(${code})`);
        await assert.rejects(work, { code });
      });
    }

    it('after an envelope that failed', async () => {
      await assert.rejects(connection.statement(envelopeWith('select 1 / 0'), text`select 1`, []));
    });

    it('after a commit that became a rollback', async () => {
      const work = connection.transaction('begin', async (sql) => {
        await sql`select 1 / 0`.catch(() => {});
      });
      await assert.rejects(work, /^Error: Cannot commit: the server said ROLLBACK$/);
    });

    const others = [
      text`prepare swapped as select 1`,
      text`deallocate all`,
      text`set role none`,
      text`create temporary table pets (name text)`,
      text`do 'begin end'`,
      text`listen kennel`,
      text``,
    ];
    for (const other of others) {
      it(`after "${other}", which is not a query`, async () => {
        await assert.rejects(connection.statement(plain, other, []), {
          name: 'IsolationViolation',
        });
      });

      it(`after "${other}" in a transaction, which fails`, async () => {
        const work = connection.transaction('begin', async (sql) => {
          await sql(other).catch(() => {});
          return sql`select 1`;
        });
        await assert.rejects(work, { name: 'IsolationViolation' });
      });
    }

    it('after a statement that is not a query, not even for calls of the same turn', async () => {
      const witness = await open();
      await witness.script('create sequence noted');
      // A sequence keeps its count, whatever the outcome of the transaction.
      const work = connection.transaction('begin', (sql) =>
        Promise.all([sql(text`set role none`), sql`select nextval('noted')`]),
      );
      await assert.rejects(work, { name: 'IsolationViolation' });
      await until(async () => {
        const { pid } = connection;
        return (await witness.plain`select from pg_stat_activity where pid = ${pid}`).length === 0;
      });
      const [noted] = await witness.plain<{ is_called: boolean }>`select is_called from noted`;
      assert.equal(noted?.is_called, false);
    });

    it('after its own statement terminated its backend', async () => {
      const end = text`select pg_terminate_backend(pg_backend_pid())`;
      await assert.rejects(connection.statement(plain, end, []), unavailable);
    });

    it('after its backend was terminated, with every pending call refused', async () => {
      let ends = 0;
      connection.onClose(() => {
        ends += 1;
      });
      const calls = [
        connection.plain`select pg_sleep(5)`,
        connection.plain`select ${'waits for the types of its parameter'}::text`,
        connection.statement(plain, text`select 1`, []),
        connection.statement(plain, text`select 1`, []),
        connection.transaction('begin', (sql) => sql`select 1`),
        connection.script('select 1'),
      ];
      const refused = Promise.all(calls.map((call) => assert.rejects(call, unavailable)));
      await terminate(connection);
      await refused;
      assert.equal(ends, 1);
    });

    it('after its backend was terminated while it was idle', async () => {
      await terminate(connection);
      await until(() => !connection.live);
    });

    it('after a transaction was idle for too long', async () => {
      connection = await open({ idleInTransactionTimeoutMs: 20 });
      const work = connection.transaction('begin', async (sql) => {
        await until(() => !connection.live);
        return sql`select 1`;
      });
      await assert.rejects(work, unavailable);
    });

    it('after a call that took too long', async () => {
      connection = await open({ callTimeoutMs: shortCallMs });
      await assert.rejects(connection.plain`select pg_sleep(5)`, unavailable);
    });

    it('after a read that took too long behind quick ones', async () => {
      // The second read ends past the limit of the first, and well within its own.
      connection = await open({ callTimeoutMs: 1_500, statementTimeoutMs: 60_000 });
      const reads = [0.8, 0.8, 60].map((seconds) =>
        connection.statement(plain, text`select pg_sleep(${seconds})`, [seconds]),
      );
      const outcomes = await Promise.allSettled(reads);
      assert.deepEqual(
        outcomes.map(({ status }) => status),
        ['fulfilled', 'fulfilled', 'rejected'],
      );
    });

    it('after a read that took too long, timed from the call and not from the idle time before', async () => {
      connection = await open({ callTimeoutMs: shortCallMs });
      const openedAt = performance.now();
      await until(() => performance.now() - openedAt > shortCallMs);
      await assert.rejects(connection.statement(plain, text`select pg_sleep(5)`, []), unavailable);
    });

    it('after work in a transaction that never ended', async () => {
      connection = await open({ callTimeoutMs: shortCallMs });
      const work = connection.transaction('begin', () => new Promise<never>(() => {}));
      await assert.rejects(work, unavailable);
    });

    it('after its backend has hung', async (t) => {
      connection = await open({ callTimeoutMs: shortCallMs });
      if (!isOurs(connection.pid))
        return t.skip('its backend is no process that this test may stop');
      process.kill(connection.pid, 'SIGSTOP');
      t.after(() => process.kill(connection.pid, 'SIGCONT'));
      await assert.rejects(connection.statement(plain, text`select 1`, []), unavailable);
    });
  });

  it('ends its backend when it is closed', async () => {
    const { pid } = connection;
    connection.close();
    const witness = await open();
    await until(async () => {
      return (await witness.plain`select from pg_stat_activity where pid = ${pid}`).length === 0;
    });
  });

  it('does not open when the server hangs up, without a second attempt', async (t) => {
    const server = await startTcpServer((socket) => socket.destroy());
    t.after(() => server.close());
    await assert.rejects(Connection.open(server.url, connectionLimits), unavailable);
    assert.equal(server.accepted(), 1);
  });

  it('does not open when the server is silent, and leaves no connection', async (t) => {
    const server = await startTcpServer(() => {});
    t.after(() => server.close());
    await assert.rejects(
      Connection.open(server.url, { ...connectionLimits, connectTimeoutMs: 50 }),
      unavailable,
    );
    await until(() => server.open() === 0);
  });

  /** A proxy of the database that may replace the bytes of either side. */
  async function interpose(
    t: TestContext,
    { told, says }: { told?: (chunk: Buffer) => Buffer | null; says?: (chunk: Buffer) => Buffer },
  ) {
    const { hostname, port } = new URL(database.url);
    const server = await startTcpServer((socket) => {
      const upstream = connect(Number(port), hostname);
      socket.on('close', () => upstream.destroy());
      upstream.on('close', () => socket.destroy()).on('error', () => {});
      upstream.on('data', (chunk: Buffer) => socket.write(says?.(chunk) ?? chunk));
      socket.on('data', (chunk: Buffer) => {
        const reply = told?.(chunk);
        if (reply) socket.write(reply);
        else upstream.write(chunk);
      });
    });
    t.after(() => server.close());
    const url = new URL(database.url);
    url.port = new URL(server.url).port;
    return { url: url.href, open: server.open };
  }

  function errorResponse(severity: string, code: string): Buffer {
    const fields = Buffer.from(`S${severity}\0V${severity}\0C${code}\0Mno\0\0`);
    const head = Buffer.from('E....');
    head.writeInt32BE(fields.length + 4, 1);
    return Buffer.concat([head, fields]);
  }

  it('leaves no connection when its statements cannot be prepared', async (t) => {
    const ready = Buffer.from('Z\0\0\0\x05I', 'latin1');
    const refusal = Buffer.concat([errorResponse('ERROR', '57014'), ready]);
    const between = await interpose(t, {
      told: (chunk) => (chunk.includes('set_config') ? refusal : null),
    });
    await assert.rejects(Connection.open(between.url, connectionLimits), unavailable);
    await until(() => between.open() === 0);
  });

  it('does not open when its session is terminated at its start', async (t) => {
    const end = errorResponse('FATAL', '57P01');
    const between = await interpose(t, {
      says: (chunk) => (chunk.includes('pinned') ? Buffer.concat([chunk, end]) : chunk),
    });
    await assert.rejects(Connection.open(between.url, connectionLimits), unavailable);
    await until(() => between.open() === 0);
  });

  it('does not open when the port is closed', async () => {
    await assert.rejects(
      Connection.open('postgres://127.0.0.1:1/kennel', connectionLimits),
      unavailable,
    );
  });

  /** True for a backend on this machine that a signal of this process would reach. */
  function isOurs(pid: number): boolean {
    const { stdout } = spawnSync('ps', ['-o', 'command=', '-p', `${pid}`], { encoding: 'utf8' });
    if (!stdout?.includes(databaseOf(database.url))) return false;
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  }
});
