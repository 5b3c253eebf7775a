import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { readConfig } from '../../../src/config.ts';
import { restoreTenant } from '../../../src/control_plane/archive/restore_tenant.ts';
import { examine } from '../../../src/control_plane/doctor/doctor.ts';
import type { Moves } from '../../../src/control_plane/moves/moves.ts';
import type { ReplaceStep, ReplaceWatcher } from '../../../src/control_plane/moves/replace_job.ts';
import { isolationModes } from '../../../src/isolation/modes.ts';
import { limits } from '../../../src/limits.ts';
import { openServices } from '../../../src/services.ts';
import { exportTo, openArchive, sealArchive } from '../../support/archives.ts';
import {
  type ExtendedInstallation,
  fillAll,
  moreTables,
  openExtended,
  slugOf,
} from '../../support/more_tables.ts';
import { testDatabase } from '../../support/postgres.ts';

type RestoreTestOptions = { by?: Moves; from?: string } & ReplaceWatcher;

describe('restoreTenant()', () => {
  let extended: ExtendedInstallation;
  let folder: string;
  let restores = 0;
  let fresh: Awaited<ReturnType<typeof examine>>;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kennel-restores-'));
    extended = await openExtended(moreTables);
    await extended.onboard('neighbour', 'shared');
    fresh = await examine(extended.services, limits.doctor);
  });
  after(async () => {
    await extended.close();
    await rm(folder, { recursive: true });
  });

  const fileOf = (name: string) => join(folder, name);
  const idOf = async (slug: string) => (await extended.services.registry.find(slug))?.id ?? '';

  function restore(slug: string, file: string, options: RestoreTestOptions = {}) {
    const { archives, exports, moves, pools } = extended.services;
    const { by = moves, onStep = () => {}, from } = options;
    restores += 1;
    const now = () => new Date(restores);
    const parts = { archives, exports, moves: by, serving: pools.serving, now };
    const tenants = { slug: slugOf(slug), from: from === undefined ? undefined : slugOf(from) };
    return restoreTenant(parts, { file, ...tenants, onProgress: () => {}, onStep });
  }

  /** The checksums of a tenant's tables. */
  async function rowsOf(slug: string) {
    const file = fileOf(randomUUID());
    await exportTo(file, extended.services, slug);
    return (await openArchive(file)).trailer.tables;
  }

  for (const mode of isolationModes) {
    it(`brings the rows back and keeps the replaced ones, in ${mode} mode`, async () => {
      const slug = `back-${mode}`;
      await extended.onboard(slug, mode);
      const id = await idOf(slug);
      const tables = await extended.asSuperuser(slug, (sql) => fillAll(sql, id));
      // One of each table, and the sample pet.
      const count = tables.length + 1;
      const [before, neighbour] = [await rowsOf(slug), await rowsOf('neighbour')];
      await exportTo(fileOf(slug), extended.services, slug);
      await extended.asSuperuser(slug, async (sql) => {
        await sql`delete from toys where tenant_id = ${id}`;
        await sql`update pets set name = 'Lost' where tenant_id = ${id}`;
      });
      const lost = await rowsOf(slug);
      const { rows, replaced } = await restore(slug, fileOf(slug));
      assert.equal(rows, count);
      assert.equal((await extended.services.moves.find(slugOf(slug)))?.kind, 'restore');
      assert.deepEqual(await rowsOf(slug), before);
      assert.deepEqual((await openArchive(replaced)).trailer.tables, lost);
      assert.deepEqual(await rowsOf('neighbour'), neighbour);
      const [event] = await extended.services.control<{ event: string; details: object }>`
        select event, details from control.audit_events
        where tenant = ${slug} and event = 'tenant_restored'`;
      const { exported_at } = (await openArchive(fileOf(slug))).header;
      assert.deepEqual(event?.details, { rows: count, exported_at });
      // What was replaced can be brought back, too.
      await restore(slug, replaced);
      assert.deepEqual(await rowsOf(slug), lost);
    });
  }

  it('changes nothing when a row of the file is refused', async () => {
    const before = await rowsOf('back-schema');
    const { header, rows } = await openArchive(fileOf('back-schema'));
    const broken = rows.map((row) => row.replace('Sample Pet', ''));
    await writeFile(fileOf('broken'), sealArchive({ header, rows: broken }));
    await assert.rejects(restore('back-schema', fileOf('broken')), /a row was refused: .*check/);
    assert.deepEqual(await rowsOf('back-schema'), before);
  });

  it("refuses another tenant's archive, and an unknown tenant", async () => {
    const foreign = restore('neighbour', fileOf('back-schema'));
    await assert.rejects(foreign, /the archive is of the tenant "back-schema" \(see --from\)$/);
    const { header, rows } = await openArchive(fileOf('back-schema'));
    const tenant = { ...header.tenant, slug: 'nobody-here' };
    await writeFile(fileOf('nobody'), sealArchive({ header: { ...header, tenant }, rows }));
    await assert.rejects(restore('nobody-here', fileOf('nobody')), /there is no such tenant$/);
  });

  it("restores another tenant's archive when it is named, and no third one's", async () => {
    const file = fileOf('back-schema');
    const third = restore('neighbour', file, { from: 'back-shared' });
    await assert.rejects(third, /the archive is of the tenant "back-schema"/);
    const before = await rowsOf('neighbour');
    const { replaced } = await restore('neighbour', file, { from: 'back-schema' });
    assert.deepEqual(await rowsOf('neighbour'), (await openArchive(file)).trailer.tables);
    await restore('neighbour', replaced);
    assert.deepEqual(await rowsOf('neighbour'), before);
  });

  it('stops no writes when the replaced rows could not be saved beside the file', async () => {
    const archive = await open(fileOf('back-schema'));
    const steps: ReplaceStep[] = [];
    const onStep = (step: ReplaceStep) => void steps.push(step);
    // A folder in which even root cannot make files.
    const restored = restore('back-schema', `/dev/fd/${archive.fd}`, { onStep });
    await assert.rejects(restored, /Cannot write to "\/dev\/fd"/);
    await archive.close();
    assert.deepEqual(steps, []);
  });

  it('brings an archive of an older schema version up first', async () => {
    const older = await testDatabase();
    const old = await openServices(readConfig({ DATABASE_URL: older.url }), older.url);
    const order = { slug: slugOf('veteran'), name: 'v', plan: 'free', isolation: 'shared' };
    const meta = { requestId: null, idempotencyKey: null, rawBody: '' };
    await old.onboarding.create({ ...order, adminEmail: 'vet@example.com' }, meta);
    await exportTo(fileOf('veteran'), old, 'veteran');
    old.close();
    await older.drop();
    const expected = (await openArchive(fileOf('veteran'))).trailer.tables;
    for (const mode of isolationModes) {
      await extended.onboard('veteran', mode);
      await restore('veteran', fileOf('veteran'));
      const found = await rowsOf('veteran');
      const names = expected.map(({ name }) => name);
      assert.deepEqual(
        found.filter(({ name }) => names.includes(name)),
        expected,
      );
      await extended.services.onboarding.remove(slugOf('veteran'), null);
    }
  });

  it('gives the doctor nothing to find', async () => {
    const findings = await examine(extended.services, limits.doctor);
    const added = findings.filter(({ check }) => !fresh.some((known) => known.check === check));
    assert.deepEqual(added, []);
  });
});
