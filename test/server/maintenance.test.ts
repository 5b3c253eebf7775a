import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { it } from 'node:test';
import { readConfig } from '../../src/config.ts';
import { limits } from '../../src/limits.ts';
import { createLog } from '../../src/observability/log.ts';
import { Maintenance } from '../../src/server/maintenance.ts';
import { openServices } from '../../src/services.ts';
import { slugOf } from '../support/more_tables.ts';
import { testDatabase } from '../support/postgres.ts';
import { until } from '../support/until.ts';

it('forgets the labels of tenants that another process has deleted', async () => {
  const database = await testDatabase();
  const services = await openServices(readConfig({ DATABASE_URL: database.url }), database.url);
  const order = { slug: slugOf('present'), name: 'Present', plan: 'free', isolation: 'shared' };
  await services.onboarding.create(
    { ...order, adminEmail: 'admin@example.com' },
    { requestId: null, idempotencyKey: null, rawBody: '' },
  );
  const forgotten: string[] = [];
  const labels = {
    names: () => ['deleted', 'present'],
    forget: (slug: string) => forgotten.push(slug),
  };
  const sink = { write: () => true, writableLength: 0 };
  const log = createLog({ ...limits.log, level: 'error', sink, nowMs: Date.now });
  const { heartbeatTimeoutMs } = limits.processes;
  const versions = { oldest: 1, newest: services.fleet.sql.tenant.length };
  const heartbeat = { id: randomUUID(), appVersion: 'test', versions, heartbeatTimeoutMs };
  const maintenance = await Maintenance.start(services, { log, heartbeat, labels });
  await until(() => forgotten.length > 0);
  maintenance.close();
  await maintenance.withdraw();
  services.close();
  await database.drop();
  assert.deepEqual(forgotten, ['deleted']);
});
