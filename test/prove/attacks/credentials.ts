/**
 * Credentials and roles: keys that are missing, wrong or expired, roles, and the operator's routes.
 */
import { randomBytes } from 'node:crypto';
import { bearer } from '../../support/client.ts';
import type { Attack, Attempt, Seen } from '../attack.ts';
import { everywhere } from '../layers_needed.ts';
import { sendBehindVictim } from './wire.ts';

export const credentials: readonly Attack[] = [
  {
    name: 'no key',
    layers: everywhere('authenticate'),
    run: (attempt) => attempt.send('GET /api/pets', { 'x-tenant-id': attempt.victim.slug }),
  },
  {
    name: "the id of the victim's key with another secret",
    layers: everywhere('authenticate'),
    run: (attempt) => {
      const [id = ''] = /^.*_/.exec(attempt.victim.apiKey) ?? [];
      return withKey(attempt, `${id}${randomBytes(32).toString('hex')}`);
    },
  },
  {
    name: 'a key that was revoked',
    layers: everywhere('authenticate'),
    run: (attempt) => withKey(attempt, attempt.victim.revokedKey),
  },
  {
    name: 'the key of a deleted tenant whose slug has a new owner',
    layers: everywhere('authenticate'),
    run: async (attempt) => {
      const { lab } = attempt;
      const former = await lab.other('heirloom');
      await lab.operator('DELETE /api/admin/tenants/heirloom');
      lab.forget('heirloom');
      const heir = await lab.other('heirloom');
      await heir.call('PUT /api/config/welcome_message', { value: lab.mark });
      const named = { 'x-tenant-id': former.slug };
      await attempt.send('GET /api/config', { ...bearer(former.apiKey), ...named });
    },
  },
  {
    name: "a second request on the victim's connection, without a key",
    layers: everywhere('authenticate'),
    run: sendBehindVictim,
  },
  {
    name: 'a member who lists the users',
    layers: everywhere('role'),
    run: (attempt) => asMember(attempt, 'GET /api/users'),
  },
  {
    name: 'a member who creates a key for an admin',
    layers: everywhere('role'),
    run: (attempt) => asMember(attempt, `POST /api/users/${attempt.victim.adminId}/keys`),
  },
  {
    name: 'a member who changes a setting',
    layers: everywhere('role'),
    run: (attempt) => asMember(attempt, 'PUT /api/config/welcome_message', { value: 'Meow' }),
  },
  {
    name: "the operator's list with a tenant's key",
    layers: everywhere('operator token'),
    run: (attempt) => attempt.call('GET /api/admin/tenants'),
  },
  {
    name: "the operator's trail with a tenant's key",
    layers: everywhere('operator token'),
    run: (attempt) => attempt.call('GET /api/admin/audit?limit=100'),
  },
  {
    name: "the victim's plan changed with a tenant's key",
    layers: everywhere('operator token'),
    run: (attempt) =>
      attempt.call(`PATCH /api/admin/tenants/${attempt.victim.slug}`, { plan: 'free' }),
  },
  {
    name: "the metrics with a tenant's key",
    layers: everywhere('operator token'),
    run: async (attempt) => {
      const hidden = await attempt.lab.other(attempt.lab.mark);
      await hidden.call('GET /api/me');
      await attempt.call('GET /metrics');
    },
  },
];

/** In the victim's name, with a value in place of a key. */
function withKey(attempt: Attempt, apiKey: string): Promise<Seen> {
  return attempt.send('GET /api/pets', {
    ...bearer(apiKey),
    'x-tenant-id': attempt.victim.slug,
  });
}

/** A user of the victim itself who is not an admin. */
function asMember(attempt: Attempt, line: string, body?: unknown): Promise<Seen> {
  const { memberKey, slug } = attempt.victim;
  return attempt.send(line, { ...bearer(memberKey), 'x-tenant-id': slug }, body);
}
