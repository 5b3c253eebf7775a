/** The victim's ids: the attacker knows some and sends requests for them as itself. */
import { randomUUID } from 'node:crypto';
import type { Attack } from '../attack.ts';
import { everywhere, inPlace } from '../layers_needed.ts';

/** Sorts before every id, as the cursor of a list. */
const beginning = cursorAt('00000000-0000-0000-0000-000000000000');

export const ids: readonly Attack[] = [
  {
    name: "the victim's id in the path",
    layers: inPlace('row security'),
    run: (attempt) => attempt.call(`GET /api/pets/${attempt.victim.petId}`),
  },
  {
    name: "a PATCH of the victim's pet",
    layers: inPlace('row security'),
    run: (attempt) => attempt.call(`PATCH /api/pets/${attempt.victim.petId}`, { name: 'Stolen' }),
  },
  {
    name: "a DELETE of the victim's pet",
    layers: inPlace('row security'),
    run: (attempt) => attempt.call(`DELETE /api/pets/${attempt.victim.petId}`),
  },
  {
    name: "the visits of the victim's pet",
    layers: inPlace('row security'),
    run: (attempt) => attempt.call(`GET /api/pets/${attempt.victim.petId}/visits`),
  },
  {
    name: "the existence of the victim's pet, by the answer to a new visit",
    layers: inPlace('row security'),
    run: async (attempt) => {
      const visit = (id: string) =>
        attempt.call(`POST /api/pets/${id}/visits`, { visited_on: '2026-01-01', reason: 'Cough' });
      attempt.mustBeAlike(await visit(attempt.victim.petId), await visit(randomUUID()));
    },
  },
  {
    name: "the victim's tenant id in a query string that the handler trusts",
    layers: inPlace('row security'),
    run: (attempt) => attempt.call(`GET /api/lab/export?tenant_id=${attempt.victim.id}`),
  },
  {
    name: "the victim's tenant id in a body that the handler trusts",
    layers: inPlace('row security'),
    run: (attempt) =>
      attempt.call('POST /api/lab/import', { tenant_id: attempt.victim.id, name: 'Cuckoo' }),
  },
  {
    name: "the victim's cursor",
    layers: inPlace('row security'),
    run: async (attempt) => {
      const before = `${attempt.victim.petId.slice(0, -12)}000000000000`;
      await attempt.call(`GET /api/pets?limit=100&cursor=${cursorAt(before)}`);
    },
  },
  {
    name: 'a cursor before every id',
    layers: inPlace('row security'),
    run: (attempt) => attempt.call(`GET /api/pets?limit=100&cursor=${beginning}`),
  },
  {
    name: "the victim's users, with a cursor before every id",
    layers: everywhere('row security'),
    run: (attempt) => attempt.call(`GET /api/users?limit=100&cursor=${beginning}`),
  },
  {
    name: "a revocation of the victim's key",
    layers: everywhere('row security'),
    run: (attempt) => attempt.call(`DELETE /api/keys/${attempt.victim.adminKeyId}`),
  },
  {
    name: "the victim's trail",
    layers: everywhere('row security'),
    run: (attempt) => attempt.call('GET /api/audit?limit=100'),
  },
  {
    name: "the existence of tenants, in the attacker's own trail",
    layers: everywhere('audience'),
    run: async (attempt) => {
      const { slug } = attempt.victim;
      await attempt.call('GET /api/pets', undefined, { 'x-tenant-id': slug });
      await attempt.call('GET /api/pets', undefined, { 'x-tenant-id': 'nobody' });
      // Both are written some time later, or when the operator reads.
      await attempt.lab.operator('GET /api/admin/audit');
      const { status, headers, text } = await attempt.call('GET /api/audit?limit=100');
      const told = (name: string) => ({ status, headers, text: `named: ${text.includes(name)}` });
      attempt.mustBeAlike(told(slug), told('nobody'));
    },
  },
];

function cursorAt(id: string): string {
  return Buffer.from(JSON.stringify([id])).toString('base64url');
}
