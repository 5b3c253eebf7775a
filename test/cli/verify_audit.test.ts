import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { verifyAudit } from '../../src/cli/verify_audit.ts';
import { type AuditTrail, openAuditTrail } from '../support/audit_trail.ts';
import type { Registered } from '../support/registered.ts';

describe('verifyAudit()', () => {
  let trail: AuditTrail;
  let tenant: Registered;
  before(async () => {
    trail = await openAuditTrail();
    tenant = await trail.tenant();
  });
  after(() => trail.close());

  it('writes a checkpoint of each intact chain', async () => {
    const { control } = trail.services;
    const checkpoints = trail.checkpoints();
    assert.equal(await verifyAudit({ control, checkpoints }, { slug: null, json: false }), 0);
    assert.deepEqual(
      (await checkpoints.read()).map(({ chain }) => chain),
      [tenant.id],
    );
  });

  it('fails on a finding, and writes no checkpoint', async () => {
    const { control } = trail.services;
    const checkpoints = trail.checkpoints();
    await trail.falsify(
      `delete from audit_events where tenant_id = '${tenant.id}' and position = 2`,
    );
    assert.equal(
      await verifyAudit({ control, checkpoints }, { slug: tenant.slug, json: false }),
      1,
    );
    assert.deepEqual(await checkpoints.read(), []);
  });
});
