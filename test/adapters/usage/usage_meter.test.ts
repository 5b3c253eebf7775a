import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { UsageMeter } from '../../../src/adapters/usage/usage_meter.ts';
import { unavailable } from '../../../src/kernel/errors.ts';
import type { Db } from '../../../src/kernel/ports.ts';
import { tenantId } from '../../../src/kernel/tenant.ts';
import { type Registered, register } from '../../support/registered.ts';
import { openTenantFixture, type TenantFixture } from '../../support/tenant_fixture.ts';

describe('UsageMeter', () => {
  let fixture: TenantFixture;
  let tenant: Registered;
  let meter: UsageMeter;
  let nowMs: number;
  let away: boolean;
  before(async () => {
    fixture = await openTenantFixture(1);
  });
  after(() => fixture.close());
  beforeEach(async () => {
    const { control } = fixture.services;
    tenant = await register(control, `t-${randomUUID().slice(0, 8)}`);
    nowMs = Date.parse('2024-02-29T23:59:59.999Z');
    away = false;
    const statement: Db = Object.assign(
      <Row extends object>(text: TemplateStringsArray, ...values: Parameters<Db>[1][]) =>
        away ? Promise.reject(unavailable('away')) : control<Row>(text, ...values),
      { transaction: control.transaction },
    );
    meter = new UsageMeter(statement, {
      nowMs: () => nowMs,
      flushEveryMs: 60_000,
      onError: () => {},
    });
  });
  afterEach(() => meter.close());

  async function days() {
    await meter.flush();
    const rows = await fixture.services.control`
      select day, billed, refused from control.usage_days where tenant_id = ${tenant.id} order by day`;
    return rows.map((row) => ({ ...row }));
  }

  it('sums requests by UTC day', async () => {
    meter.count(tenant.id, 'billed');
    meter.count(tenant.id, 'billed');
    nowMs += 1;
    meter.count(tenant.id, 'refused');
    assert.deepEqual(await days(), [
      { day: '2024-02-29', billed: 2, refused: 0 },
      { day: '2024-03-01', billed: 0, refused: 1 },
    ]);
  });

  it('adds to counts that were written before', async () => {
    for (let turn = 0; turn < 3; turn += 1) {
      meter.count(tenant.id, 'billed');
      await meter.flush();
    }
    assert.deepEqual(await days(), [{ day: '2024-02-29', billed: 3, refused: 0 }]);
  });

  it('writes counts of a failed flush once, with the next one', async () => {
    meter.count(tenant.id, 'billed');
    away = true;
    await meter.flush();
    meter.count(tenant.id, 'billed');
    away = false;
    assert.deepEqual(await days(), [{ day: '2024-02-29', billed: 2, refused: 0 }]);
  });

  it('drops the counts of a deleted tenant, and writes those of others', async () => {
    meter.count(tenantId(randomUUID()), 'billed');
    meter.count(tenant.id, 'billed');
    assert.deepEqual(await days(), [{ day: '2024-02-29', billed: 1, refused: 0 }]);
  });
});
