/** Tables that migrations may add, and that sql/tenant has none of, are moved, exported, imported and restored. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { restoreTenant } from '../../../src/control_plane/archive/restore_tenant.ts';
import { type IsolationModeName, isolationModes } from '../../../src/isolation/modes.ts';
import type { Db } from '../../../src/kernel/ports.ts';
import { exportTo, importFrom, openArchive } from '../../support/archives.ts';
import {
  type ExtendedInstallation,
  guarded,
  guards,
  openExtended,
  slugOf,
} from '../../support/more_tables.ts';
import { pairs, tenantOf } from '../../support/moving_fixture.ts';

type UnusualTables = ExtendedInstallation & {
  run<Result>(slug: string, work: (db: Db) => Promise<Result>): Promise<Result>;
  move(slug: string, to: IsolationModeName, onCopied?: () => Promise<unknown>): Promise<string>;
  exported(slug: string): Promise<string>;
  imported(file: string, slug: string, isolation: IsolationModeName): Promise<unknown>;
  restore(slug: string, file: string): Promise<number>;
  /** The checksums of a tenant's tables. */
  rowsOf(slug: string): Promise<unknown>;
};

async function openTables(migration: string): Promise<UnusualTables> {
  const folder = await mkdtemp(join(tmpdir(), 'kennel-unusual-'));
  const extended = await openExtended(migration);
  const { services } = extended;
  const { archives, exports, moves, pools } = services;
  let files = 0;
  const exported = async (slug: string) => {
    files += 1;
    const file = join(folder, `${files}.gz`);
    await exportTo(file, services, slug);
    return file;
  };
  return {
    ...extended,
    exported,
    run: async (slug, work) => services.isolation.run(await tenantOf(services, slug), work),
    move: async (slug, to, onCopied = async () => {}) => {
      const onStep = async (step: string) => {
        if (step === 'copied') await onCopied();
      };
      const { finished } = await moves.begin(
        { slug: slugOf(slug), to, requestId: null },
        { onStep },
      );
      return (await finished).state;
    },
    imported: (file, slug, isolation) => importFrom(file, services, slug, isolation),
    restore: async (name, file) => {
      files += 1;
      const now = () => new Date(files);
      const parts = { archives, exports, moves, serving: pools.serving, now };
      const options = { file, slug: slugOf(name), onProgress: () => {} };
      return (await restoreTenant(parts, options)).rows;
    },
    rowsOf: async (slug) => (await openArchive(await exported(slug))).trailer.tables,
    close: async () => {
      await extended.close();
      await rm(folder, { recursive: true });
    },
  };
}

describe("types of a tenant's schema", () => {
  let tables: UnusualTables;
  before(async () => {
    tables = await openTables(`
      create type mood as enum ('sad', 'glad');
      create domain code as text check (value <> '');
      create type pair as (mood mood, words text);
      ${guarded('diaries', 'mood mood, moods mood[], code code, pair pair, pairs pair[]')}
      create table kinds (
        tenant_id uuid not null default kernel.tenant(), mood mood not null, code code not null,
        primary key (tenant_id, mood, code)
      );
      ${guards('kinds')}`);
    for (const mode of isolationModes) {
      await tables.onboard(`in-${mode}`, mode);
      await tables.run(`in-${mode}`, async (db) => {
        await db`
          insert into diaries (id, mood, moods, code, pair, pairs)
          values (gen_random_uuid(), 'glad', '{sad,NULL}', 'x', '(sad,"a ""b"" c")', '{"(glad,)"}')`;
        await db`
          insert into kinds (mood, code)
          select mood::mood, n from unnest(array['glad', 'sad']) as mood, generate_series(1, 700) as n`;
      });
    }
  });
  after(() => tables.close());

  for (const mode of isolationModes) {
    it(`are exported, imported and restored in ${mode} mode`, async () => {
      const expected = await tables.rowsOf(`in-${mode}`);
      const file = await tables.exported(`in-${mode}`);
      for (const other of isolationModes) {
        await tables.imported(file, `from-${mode}-in-${other}`, other);
        assert.deepEqual(await tables.rowsOf(`from-${mode}-in-${other}`), expected);
      }
      await tables.run(`in-${mode}`, (db) => db`update diaries set mood = null`);
      assert.equal(await tables.restore(`in-${mode}`, file), 1402);
      assert.deepEqual(await tables.rowsOf(`in-${mode}`), expected);
    });
  }

  for (const { from, to } of pairs) {
    it(`are moved from ${from} to ${to}`, async () => {
      const slug = `from-${from}-in-${from}`;
      const before = await tables.rowsOf(slug);
      assert.equal(await tables.move(slug, to), 'done');
      assert.deepEqual(await tables.rowsOf(slug), before);
      assert.equal(await tables.move(slug, from), 'done');
    });
  }
});
