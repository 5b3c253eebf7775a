import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { readConfig } from '../../../src/config.ts';
import type { ArchiveHeader } from '../../../src/control_plane/archive/format.ts';
import { importTenant } from '../../../src/control_plane/archive/import_tenant.ts';
import type { IsolationModeName } from '../../../src/isolation/modes.ts';
import { limits } from '../../../src/limits.ts';
import { openServices, type Services } from '../../../src/services.ts';
import {
  bytesOf,
  exportTo,
  importFrom,
  type OpenArchive,
  openArchive,
  sealArchive,
  withChecksum,
} from '../../support/archives.ts';
import {
  type ExtendedInstallation,
  fillAll,
  moreTables,
  openExtended,
  slugOf,
} from '../../support/more_tables.ts';
import { type TestDatabase, testDatabase } from '../../support/postgres.ts';
import { newestVersion } from '../../support/tenant_files.ts';
import { orphansIn, theTrail, tracesOf } from '../../support/traces.ts';

/** Each mode after each, also after itself. */
const tour: readonly IsolationModeName[] = [
  ...(['shared', 'schema', 'schema', 'database', 'database'] as const),
  ...(['schema', 'shared', 'database', 'shared'] as const),
];

/** Values that a text format could lose. */
const oddValues = `insert into pets (tenant_id, id, name, species, breed, birth_date, created_at)
  values
    ($1, gen_random_uuid(), E'tab\\t "quote" \\\\ new\\nline', '\u{1f415}', null, '0044-03-15 BC', '-infinity'),
    ($1, gen_random_uuid(), '\\N', 'null', '{}', 'infinity', '2026-01-02 03:04:05.678901+05:30')`;

describe('importTenant()', () => {
  let extended: ExtendedInstallation;
  let services: Services;
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kennel-archives-'));
    extended = await openExtended(moreTables);
    services = extended.services;
    await extended.onboard('origin', 'shared');
    await extended.onboard('neighbour', 'shared');
    for (const slug of ['origin', 'neighbour']) await fill(slug);
    await exportTo(fileOf('with keys'), services, 'origin', true);
    await exportTo(fileOf('origin'), services, 'origin');
  });
  after(async () => {
    await extended.close();
    await rm(folder, { recursive: true });
  });

  const fileOf = (name: string) => join(folder, name);

  async function fill(slug: string): Promise<void> {
    const id = (await services.registry.find(slug))?.id ?? '';
    await extended.asSuperuser(slug, async (sql) => {
      await fillAll(sql, id);
      await sql.unsafe(oddValues, [id]);
      await sql`
        insert into folders (tenant_id, id, parent)
        select ${id}, uuid(lpad(at::text, 32, '0')), uuid(lpad((700 - at)::text, 32, '0'))
        from generate_series(1, 699) as at`;
    });
  }

  /** All that is left of a tenant in any table or name, except the audit trail. */
  async function tracesOfSlug(slug: string): Promise<string[]> {
    const url = services.fleet.installation.adminUrl;
    const found = [...(await tracesOf(url, [slug])), ...(await orphansIn(url))];
    return found.filter((trace) => !theTrail.includes(trace));
  }

  it('makes a tenant with the same rows, from each mode in each mode', async () => {
    const { trailer } = await openArchive(fileOf('origin'));
    let file = fileOf('origin');
    for (const [at, mode] of tour.entries()) {
      const slug = `tour-${at}`;
      const { tenant } = await importFrom(file, services, slug, mode);
      assert.deepEqual(
        [tenant.status, tenant.isolation, tenant.schema_version],
        ['active', mode, newestVersion + 1],
      );
      file = fileOf(slug);
      await exportTo(file, services, slug);
      assert.deepEqual((await openArchive(file)).trailer.tables, trailer.tables);
    }
  });

  it('keeps the users and settings, and adds a key of the first admin', async () => {
    const { admin } = await importFrom(fileOf('tour-0'), services, 'same-users', 'shared');
    const [before, after] = [await openArchive(fileOf('tour-0')), fileOf('same-users')];
    await exportTo(after, services, 'same-users', true);
    const { header, trailer } = await openArchive(after);
    assert.deepEqual(trailer.account.slice(0, 2), before.trailer.account);
    assert.deepEqual(
      header.account.map(({ name, rows }) => [name, rows]),
      [
        ['users', 1],
        ['settings', 3],
        ['api_keys', 1],
      ],
    );
    assert.equal(admin.email, 'admin@example.com');
    assert.match(admin.api_key, /^kn_/);
  });

  it('records both in the audit trail', async () => {
    const events = await services.control<{ tenant: string; event: string; details: object }>`
      select tenant, event, details from control.audit_events
      where tenant in ('origin', 'tour-0') and details ?| array['with_keys', 'exported_at']
      order by seq`;
    const { header } = await openArchive(fileOf('origin'));
    const { exported_at } = header;
    assert.deepEqual(
      events.map((event) => ({ ...event })),
      [
        { tenant: 'origin', event: 'tenant_exported', details: { with_keys: true } },
        { tenant: 'origin', event: 'tenant_exported', details: { with_keys: false } },
        {
          tenant: 'tour-0',
          event: 'tenant_created',
          details: { plan: 'free', isolation: 'shared', exported_at },
        },
        { tenant: 'tour-0', event: 'tenant_exported', details: { with_keys: false } },
      ],
    );
  });

  it('refuses keys that belong to another tenant here, and leaves nothing', async () => {
    await assert.rejects(
      importFrom(fileOf('with keys'), services, 'twice', 'schema'),
      /its users or keys exist already/,
    );
    assert.deepEqual(await tracesOfSlug('twice'), []);
  });

  it('refuses a second key with the digest of one that is here', async () => {
    const archive = await openArchive(fileOf('with keys'));
    const isKey = (row: string) => /"[0-9a-f-]{36}","[0-9a-f-]{36}","\\\\x/.test(row);
    const rows = archive.rows.map((row) => {
      if (!isKey(row) && !row.includes('"admin"')) return row;
      return row.replaceAll(/"[0-9a-f]{8}-/g, '"ffffffff-');
    });
    assert.ok(rows.some(isKey));
    await writeFile(fileOf('same digest'), sealArchive({ ...archive, rows }));
    await assert.rejects(
      importFrom(fileOf('same digest'), services, 'digest', 'shared'),
      /its users or keys exist already/,
    );
    assert.deepEqual(await tracesOfSlug('digest'), []);
  });

  it('writes a file that only its owner can read, and replaces none', async () => {
    const file = fileOf('origin');
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    await assert.rejects(exportTo(file, services, 'origin'), /it exists already$/);
  });

  describe('an archive', () => {
    it('has no row of another tenant, although the tables are shared', async () => {
      const neighbour = (await services.registry.find('neighbour'))?.id ?? '';
      const { rows } = await openArchive(fileOf('tour-8'));
      // The sample pet's id is the tenant's.
      assert.equal(rows.filter((row) => row.includes(neighbour)).length, 0);
      // control: without row security the neighbour's rows are there.
      await extended.asSuperuser(
        'origin',
        (sql) => sql`alter table pets disable row level security`,
      );
      await exportTo(fileOf('leaking'), services, 'origin');
      await extended.asSuperuser(
        'origin',
        (sql) => sql`alter table pets enable row level security`,
      );
      const leaked = (await openArchive(fileOf('leaking'))).rows;
      assert.equal(leaked.filter((row) => row.includes(neighbour)).length, 1);
    });

    it('has the rows of one moment, while the tenant writes', async () => {
      await extended.onboard('busy', 'shared');
      const id = (await services.registry.find('busy'))?.id ?? '';
      await extended.asSuperuser(
        'busy',
        (sql) => sql`
          insert into pets (tenant_id, id, name, species)
          select ${id}, gen_random_uuid(), 'before', 'dog' from generate_series(1, 5000)`,
      );
      const write = () =>
        extended.asSuperuser('busy', async (sql) => {
          await sql`update pets set name = 'after' where tenant_id = ${id}`;
          await sql`
            insert into visits (tenant_id, id, pet_id, visited_on, reason)
            select tenant_id, id, id, '2026-01-01', 'check' from pets where tenant_id = ${id}`;
        });
      const bytes = await bytesOf(services, 'busy');
      const begun = await bytes.next();
      await write();
      const rest: Buffer[] = [];
      for await (const chunk of bytes) rest.push(chunk);
      await writeFile(fileOf('busy'), Buffer.concat([begun.value ?? Buffer.alloc(0), ...rest]));
      const { header, rows } = await openArchive(fileOf('busy'));
      assert.ok(rest.length > 1);
      assert.equal(rows.filter((row) => row.includes('"before"')).length, 5_000);
      assert.equal(header.tables.find(({ name }) => name === 'visits')?.rows, 0);
      await exportTo(fileOf('busy-later'), services, 'busy');
      const later = await openArchive(fileOf('busy-later'));
      assert.equal(later.rows.filter((row) => row.includes('"after"')).length, 5_001);
    });
  });

  describe('of an older schema version', () => {
    let older: TestDatabase;
    let old: Services;
    before(async () => {
      older = await testDatabase();
      old = await openServices(readConfig({ DATABASE_URL: older.url }), older.url);
      const order = {
        slug: slugOf('veteran'),
        name: 'Veteran',
        plan: 'basic',
        isolation: 'schema',
      };
      const meta = { requestId: null, idempotencyKey: null, rawBody: '' };
      await old.onboarding.create({ ...order, adminEmail: 'vet@example.com' }, meta);
      await exportTo(fileOf('veteran'), old, 'veteran');
    });
    after(async () => {
      old.close();
      await older.drop();
    });

    for (const mode of ['shared', 'schema', 'database'] as const) {
      it(`brings the tables up, in ${mode} mode`, async () => {
        const slug = `veteran-${mode}`;
        const { tenant } = await importFrom(fileOf('veteran'), services, slug, mode);
        assert.equal(tenant.schema_version, newestVersion + 1);
        await exportTo(fileOf(slug), services, slug);
        const [before, now] = [
          await openArchive(fileOf('veteran')),
          await openArchive(fileOf(slug)),
        ];
        assert.equal(before.header.schema_version, newestVersion);
        assert.equal(now.header.tables.length, before.header.tables.length + 4);
        for (const table of before.trailer.tables) {
          assert.deepEqual(
            now.trailer.tables.find(({ name }) => name === table.name),
            table,
          );
        }
        const url = services.fleet.installation.adminUrl;
        assert.deepEqual(await tracesOf(url, ['_archive']), []);
      });
    }

    it('refuses a newer one, and leaves nothing', async () => {
      const newer = importFrom(fileOf('tour-0'), old, 'from-the-future', 'shared');
      const [next, known] = [newestVersion + 1, newestVersion];
      const reason = `its schema version is ${next}, and this Kennel knows versions up to ${known}$`;
      await assert.rejects(newer, new RegExp(reason));
      const found = await tracesOf(older.url, ['from-the-future']);
      assert.deepEqual(found, []);
    });
  });

  describe('refuses in one line, and leaves nothing of', () => {
    let origin: OpenArchive;
    before(async () => {
      origin = await openArchive(fileOf('tour-0'));
    });

    type Change = (archive: { header: ArchiveHeader; rows: string[] }) => object;

    /** The archive with some fields of a table exchanged. */
    const withTable =
      (name: string, fields: object): Change =>
      ({ header, rows }) => ({
        rows,
        header: {
          ...header,
          tables: header.tables.map((table) =>
            table.name === name ? { ...table, ...fields } : table,
          ),
        },
      });

    const withRow =
      (part: string, row: string): Change =>
      ({ header, rows }) => ({ header, rows: rows.map((old) => (old.includes(part) ? row : old)) });

    const petLine = (id: string, name: string) =>
      JSON.stringify([id, name, 'dog', null, null, 'f', '2026-01-01', '2026-01-01', null]);

    const toyOf = (pet: string) => JSON.stringify([uuid(1), pet, 'x']);

    const forgeries: [name: string, change: Change, reason: RegExp][] = [
      ['a table of Postgres', withTable('pets', { name: 'pg_authid' }), /no table pg_authid/],
      [
        'a table of another schema',
        withTable('pets', { name: 'control.tenants' }),
        /no table control/,
      ],
      ['SQL as a table', withTable('pets', { name: '"; drop table pets; --' }), /no table "; drop/],
      [
        'SQL as a column',
        withTable('toys', { columns: ['id', 'pet_id', 'x) --'] }),
        /no table toys/,
      ],
      ['SQL as a value', withRow('Sample Pet', petLine("'); drop --", 'Rex')), /refused: .*uuid/],
      ['a refused value', withRow('Sample Pet', petLine(uuid(9), '')), /refused: .*check/],
      ['a zero character', withRow('Sample Pet', petLine(uuid(9), '\u0000')), /refused: .*Unicode/],
      [
        'half a character',
        withRow('Sample Pet', petLine(uuid(9), '?').replace('?', '\\ud800')),
        /refused: .*json/,
      ],
      ['a foreign key', withRow(toyOf(uuid(1)), toyOf(uuid(2))), /refused: .*foreign key/],
      ['no admin', withRow('"admin"', JSON.stringify([uuid(9), 'a', 'member', 'now'])), /no user/],
      [
        'an address that a terminal obeys',
        withRow('"admin"', JSON.stringify([uuid(9), 'a\u001b[2J@x.example', 'admin', 'now'])),
        /control characters/,
      ],
      [
        'a name that a terminal obeys',
        ({ header, rows }) => ({
          header: { ...header, tenant: { ...header.tenant, name: 'Paws\r\napi key: kn_0' } },
          rows,
        }),
        /invalid "tenant\.name"/,
      ],
      [
        'an unknown role',
        ({ header, rows }) => ({
          header: { ...header, account: [{ ...header.account[0], rows: 2 }, header.account[1]] },
          rows: [rows[0] ?? '', JSON.stringify([uuid(9), 'x', 'owner', 'now']), ...rows.slice(1)],
        }),
        /refused: .*role/,
      ],
      [
        'an unknown plan',
        ({ header, rows }) => ({
          header: { ...header, tenant: { ...header.tenant, plan: 'gold' } },
          rows,
        }),
        /there is no plan "gold"/,
      ],
    ];

    it('an archive whose checksums are right, and whose header or rows are not', async () => {
      for (const [name, change, reason] of forgeries) {
        const file = fileOf(`forged ${name}`);
        await writeFile(file, sealArchive({ ...origin, ...change(origin) } as OpenArchive));
        await assert.rejects(importFrom(file, services, 'forged', 'shared'), (error: Error) => {
          assert.match(error.message, /^[^\n]+$/, name);
          assert.match(error.message, reason, `${name}: ${error.message}`);
          return true;
        });
      }
      const half = importFrom(fileOf('forged a foreign key'), services, 'forged', 'database');
      await assert.rejects(half, /a row was refused: .*foreign key/);
      assert.deepEqual(await tracesOfSlug('forged'), []);
    });

    it('a damaged file, a bomb, a foreign file, a folder', async () => {
      const whole = await readFile(fileOf('tour-0'));
      const flipped = Buffer.from(whole);
      flipped[500] = (flipped[500] ?? 0) ^ 4;
      const files = {
        cut: whole.subarray(0, 900),
        flipped,
        bomb: withChecksum(Buffer.alloc(64 * 1_024 * 1_024)),
        foreign: Buffer.from('hello'),
      };
      for (const [name, bytes] of Object.entries(files)) {
        await writeFile(fileOf(name), bytes);
        const wrong = importFrom(fileOf(name), services, 'damaged', 'database');
        await assert.rejects(wrong, /^Error: Cannot read the archive: [^\n]+$/);
      }
      await assert.rejects(
        importFrom(folder, services, 'damaged', 'database'),
        /^Error: Cannot read "/,
      );
      spawnSync('mkfifo', [fileOf('pipe')]);
      await assert.rejects(
        importFrom(fileOf('pipe'), services, 'damaged', 'database'),
        /^Error: Cannot read ".*pipe": it is not a regular file$/,
      );
      const missing = importFrom(fileOf('missing'), services, 'damaged', 'database');
      await assert.rejects(missing, /^Error: Cannot read ".*missing": ENOENT/);
      assert.deepEqual(await tracesOfSlug('damaged'), []);
    });

    it('an archive whose account does not fit into memory', async () => {
      const small = { ...services.archives, limits: { ...limits.archive, accountBytes: 100 } };
      const parts = { ...services, archives: small, serving: services.pools.serving };
      const whole = {
        file: fileOf('tour-0'),
        slug: slugOf('large'),
        isolation: 'shared',
        plan: null,
      };
      await assert.rejects(importTenant(parts, whole), /more than 100 bytes$/);
      assert.deepEqual(await tracesOfSlug('large'), []);
    });

    it('control: the same archive without a forgery is imported', async () => {
      await writeFile(fileOf('unforged'), sealArchive(origin));
      const { tenant } = await importFrom(fileOf('unforged'), services, 'unforged', 'shared');
      assert.equal(tenant.status, 'active');
    });
  });
});

function uuid(number: number): string {
  return `00000000-0000-7000-8000-${String(number).padStart(12, '0')}`;
}
