/** Clients that take an archive slowly, or not at all: others go on meanwhile. */
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer as read } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import { readConfig } from '../../../src/config.ts';
import { exportTenant } from '../../../src/control_plane/archive/export_tenant.ts';
import { ArchiveReader } from '../../../src/control_plane/archive/read_archive.ts';
import { Spool } from '../../../src/control_plane/archive/spool.ts';
import { TenantExports } from '../../../src/control_plane/archive/tenant_exports.ts';
import { type Refusal, unavailable } from '../../../src/kernel/errors.ts';
import type { Sql } from '../../../src/kernel/ports.ts';
import { limits } from '../../../src/limits.ts';
import { openServices, type Services } from '../../../src/services.ts';
import { bytesOf, exportTo } from '../../support/archives.ts';
import { slugOf } from '../../support/more_tables.ts';
import { type TestDatabase, testDatabase } from '../../support/postgres.ts';
import { lookInto } from '../../support/sql.ts';
import { until } from '../../support/until.ts';

const pets = 5_000;

describe('Spool', () => {
  let folder: string;
  let ids = 0;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kennel-spool-'));
  });
  after(() => rm(folder, { recursive: true }));

  const newId = () => {
    ids += 1;
    return String(ids);
  };
  const spoolOf = (bytes: number) => new Spool(folder, { bytes, downloads: 1 }, newId);
  const chunks = Array.from({ length: 50 }, () => randomBytes(20_000));

  async function* source(state: { ended?: boolean }, error?: Error) {
    try {
      yield* chunks;
      if (error) throw error;
    } finally {
      state.ended = true;
    }
  }

  it('reads the source to its end although nothing is taken, and yields the same bytes', async () => {
    const state = { ended: false };
    const bytes = spoolOf(2_000_000).through(source(state));
    const first = await bytes.next();
    await until(() => state.ended);
    assert.deepEqual(await readdir(folder), []);
    assert.ok(Buffer.concat([first.value, await read(bytes)]).equals(Buffer.concat(chunks)));
  });

  it('keeps no more than its limit, and uses the file again', async () => {
    assert.ok((await read(spoolOf(50_000).through(source({})))).equals(Buffer.concat(chunks)));
  });

  it('throws the error of the source after the bytes before it', async () => {
    const taken: Buffer[] = [];
    const failing = spoolOf(2_000_000).through(source({}, new Error('a crash')));
    await assert.rejects(async () => {
      for await (const bytes of failing) taken.push(bytes);
    }, /a crash/);
    assert.ok(Buffer.concat(taken).equals(Buffer.concat(chunks)));
  });

  it('says why it cannot keep an archive, to the operator alone', async () => {
    const file = join(folder, 'no-folder');
    await writeFile(file, '');
    const spool = new Spool(file, { bytes: 50_000, downloads: 1 }, newId);
    await assert.rejects(read(spool.through(source({}))), (error: Refusal) => {
      assert.match(String(error.cause), /Cannot keep an archive in DATA_DIR: EEXIST/);
      assert.doesNotMatch(error.message, /DATA_DIR|EEXIST/);
      return error.code === 'unavailable';
    });
  });

  it('ends the source with the client, and then admits the next one', async () => {
    const spool = spoolOf(50_000);
    const state = { ended: false };
    const first = spool.through(source(state));
    await first.next();
    await assert.rejects(read(spool.through(source({}))), { code: 'unavailable' });
    await first.return(null);
    assert.equal(state.ended, true);
    assert.equal((await read(spool.through(source({})))).length, 1_000_000);
  });
});

describe('an export', () => {
  let database: TestDatabase;
  let processes: Services[];
  const slugs = ['one', 'two', 'three'];
  before(async () => {
    database = await testDatabase();
    const config = readConfig({ DATABASE_URL: database.url });
    processes = [
      await openServices(config, database.url),
      await openServices(config, database.url),
    ];
    for (const slug of slugs) await onboard(slug);
    await lookInto(database.url, async (sql) => {
      await sql`
        insert into shared.pets (tenant_id, id, name, species, breed)
        select tenants.id, gen_random_uuid(), md5(random()::text), 'dog', md5(random()::text)
        from control.tenants, generate_series(1, ${pets}::int)`;
    });
  });
  after(async () => {
    for (const services of processes) services.close();
    await database.drop();
  });

  function onboard(slug: string) {
    const [{ onboarding }] = processes as [Services];
    const order = { slug: slugOf(slug), name: slug, plan: 'free', isolation: 'shared' };
    const meta = { requestId: null, idempotencyKey: null, rawBody: '' };
    return onboarding.create({ ...order, adminEmail: 'admin@example.com' }, meta);
  }

  async function find(slug: string) {
    const [services] = processes as [Services];
    return (await services.exports.find(slugOf(slug))) ?? assert.fail(slug);
  }

  const eventsOf = (slug: string) => {
    const [{ control }] = processes as [Services];
    return control`
      select from control.audit_events where event = 'tenant_exported' and tenant = ${slug}`;
  };

  /** Exports of all processes may use one connection. */
  const allowOne = async () => {
    const [services] = processes as [Services];
    const { migrate } = services.fleet.installation.roles;
    await lookInto(database.url, (sql) => sql`alter role ${sql(migrate)} connection limit 3`);
  };

  /** The locks that exports hold on the tables of shared mode. */
  const locks = async () => {
    const held = await lookInto(
      database.url,
      (sql) => sql`select from pg_locks where relation = 'shared.pets'::regclass`,
    );
    return held.length;
  };

  it('whose client takes nothing keeps no lock of the tables, and arrives whole', async () => {
    const [services] = processes as [Services];
    const bytes = services.exports.byOperator(await find('one'), 'request-one');
    const first = await bytes.next();
    await until(async () => (await locks()) === 0);
    async function* all() {
      yield first.value;
      yield* bytes;
    }
    const reader = await ArchiveReader.open(all(), limits.archive);
    let rows = 0;
    for await (const { part, lines } of reader.rows()) if (part === 'tables') rows += lines.length;
    assert.equal(rows, pets + 1);
  });

  it('control: without the file it keeps the lock as long as the client', async () => {
    const [services] = processes as [Services];
    const bytes = await bytesOf(services, 'one');
    await bytes.next();
    assert.equal(await locks(), 1);
    await bytes.return(null);
    await until(async () => (await locks()) === 0);
  });

  it('is refused while others use a third of the connections, in all processes together', async () => {
    const [services, another] = processes as [Services, Services];
    const { migrate } = services.fleet.installation.roles;
    await lookInto(database.url, (sql) => sql`alter role ${sql(migrate)} connection limit 6`);
    const running = [await bytesOf(services, 'one'), await bytesOf(another, 'two')];
    for (const bytes of running) await bytes.next();
    const further = await bytesOf(services, 'three');
    await assert.rejects(further.next(), {
      code: 'unavailable',
      facts: {
        detail: 'Too many tenants are exported; try again later',
        retryAfterSeconds: 1,
        cause: undefined,
      },
    });
    assert.equal((await onboard('meanwhile')).tenant.status, 'active');
    for (const bytes of running) await bytes.return(null);
    assert.ok((await read(await bytesOf(another, 'three'))).length > 0);
  });

  it('at the edge of the budget is refused only while another one runs', async () => {
    await allowOne();
    const [services, another] = processes as [Services, Services];
    const bytes = [
      ...[await bytesOf(services, 'one'), await bytesOf(another, 'two')],
      await bytesOf(services, 'three'),
    ];
    const begun = await Promise.allSettled(bytes.map((one) => one.next()));
    assert.equal(begun.filter(({ status }) => status === 'fulfilled').length, 1);
    for (const one of bytes) await one.return(null);
  });

  it('counts while it waits for the locks of its tables', async () => {
    await allowOne();
    const [services, another] = processes as [Services, Services];
    const first = await bytesOf(services, 'one');
    const { begun } = await lookInto(database.url, (sql) =>
      sql.begin(async (locking) => {
        await locking`lock table shared.pets in access exclusive mode`;
        const begun = first.next();
        await until(async () => (await locks()) === 2);
        await assert.rejects((await bytesOf(another, 'two')).next(), { code: 'unavailable' });
        return { begun };
      }),
    );
    assert.equal((await begun).done, false);
    await first.return(null);
  });

  it('reads no users when it is refused, or there are too many of them', async () => {
    await allowOne();
    const [{ archives }] = processes as [Services];
    const asked: string[] = [];
    const control: Sql = (text, ...values) => {
      asked.push(text.join(''));
      return archives.control(text, ...values);
    };
    const options = { withKeys: false, isBudgeted: true };
    const beginning = (slug: string, accountRows: number) => {
      const parts = { ...archives, control, limits: { ...archives.limits, accountRows } };
      return find(slug).then((tenant) => exportTenant(parts, tenant, options));
    };
    const running = await beginning('one', 100);
    await running.next();
    const read = asked.splice(0).filter((text) => text.includes('as line')).length;
    assert.equal(read, 1, 'control: an export reads them');
    await assert.rejects((await beginning('two', 100)).next(), { code: 'unavailable' });
    await running.return(null);
    await assert.rejects((await beginning('two', 1)).next(), { code: 'conflict' });
    assert.ok(!asked.some((text) => text.includes('as line')));
  });

  it('is refused, and not recorded, when its tenant is being deleted', async () => {
    const [{ exports, control }] = processes as [Services];
    const found = await find('two');
    const setStatus = (status: string) =>
      control`update control.tenants set status = ${status} where id = ${found.id}`;
    const before = await eventsOf('two');
    const exporter = { actor: 'user:one', requestId: null } as const;
    await setStatus('deleting');
    try {
      await assert.rejects(exports.byTenant(found, exporter).next(), { code: 'not_found' });
      await assert.rejects(exports.byOperator(found, 'request').next(), { code: 'not_found' });
    } finally {
      await setStatus('active');
    }
    assert.deepEqual(await eventsOf('two'), before);
    const whole = exports.byOperator(found, 'request');
    assert.equal((await whole.next()).done, false, 'control');
    await whole.return(null);
  });

  it('is not recorded when its bytes find no room on the disk', async () => {
    const [{ archives, control }] = processes as [Services];
    const noRoom = async (): Promise<void> => {
      throw unavailable('The disk is full');
    };
    const downloads = {
      async *through(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
        for await (const bytes of source) {
          await noRoom();
          yield bytes;
        }
      },
    };
    const parts = { archives, control, downloads, newId: randomUUID, everyMs: 0 };
    const before = await eventsOf('three');
    const bytes = new TenantExports(parts).byOperator(await find('three'), 'request-two');
    await assert.rejects(bytes.next(), { code: 'unavailable' });
    const file = join('/dev/null', 'three.gz');
    const [services] = processes as [Services];
    await assert.rejects(services.exports.save(await find('three'), file, { withKeys: false }));
    assert.deepEqual(await eventsOf('three'), before);
    const folder = await mkdtemp(join(tmpdir(), 'kennel-saved-'));
    await exportTo(join(folder, 'three.gz'), services, 'three');
    assert.equal((await eventsOf('three')).length, before.length + 1);
    await rm(folder, { recursive: true });
  });
});
