/** Naming the tenant: the request names the victim in some way, and the key is the attacker's. */
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import { bearer, type Headers } from '../../support/client.ts';
import type { Attack, Attempt } from '../attack.ts';
import { everywhere } from '../layers_needed.ts';
import { sendRaw, sendSmuggled } from './wire.ts';

const own = ({ attacker }: Attempt): Headers => bearer(attacker.apiKey);
const hostOf = ({ slug }: { slug: string }) => ({ host: `${slug}.localhost` });
const headerOf = ({ slug }: { slug: string }) => ({ 'x-tenant-id': slug });

export const naming: readonly Attack[] = [
  {
    name: 'a forged Host',
    layers: everywhere('authorization'),
    run: (attempt) => attempt.send('GET /api/pets', { ...own(attempt), ...hostOf(attempt.victim) }),
  },
  {
    name: 'a forged path',
    layers: everywhere('authorization'),
    run: (attempt) => attempt.send(`GET /${attempt.victim.slug}/api/pets`, own(attempt)),
  },
  {
    name: 'a forged header',
    layers: everywhere('authorization'),
    run: (attempt) =>
      attempt.send('GET /api/pets', { ...own(attempt), ...headerOf(attempt.victim) }),
  },
  {
    name: 'the archive of another tenant',
    layers: everywhere('authorization'),
    run: takeArchive,
  },
  {
    name: 'a Host that disagrees with the header',
    layers: everywhere('resolution', 'authorization'),
    run: (attempt) =>
      attempt.send('GET /api/pets', {
        ...own(attempt),
        ...hostOf(attempt.victim),
        ...headerOf(attempt.attacker),
      }),
  },
  {
    name: 'a path that disagrees with the header',
    layers: everywhere('resolution', 'authorization'),
    run: (attempt) =>
      attempt.send(`GET /${attempt.victim.slug}/api/pets`, {
        ...own(attempt),
        ...headerOf(attempt.attacker),
      }),
  },
  {
    name: 'a header sent twice',
    layers: everywhere('resolution', 'authorization'),
    run: (attempt) =>
      attempt.send('GET /api/pets', {
        ...own(attempt),
        'x-tenant-id': [attempt.victim.slug, attempt.attacker.slug],
      }),
  },
  {
    name: 'X-Forwarded-Host without a proxy',
    layers: everywhere('trusted proxies', 'authorization'),
    run: (attempt) =>
      attempt.send('GET /api/pets', {
        ...own(attempt),
        host: 'localhost',
        'x-forwarded-host': hostOf(attempt.victim).host,
      }),
  },
  {
    name: 'two Host lines',
    layers: everywhere('strict HTTP', 'authorization'),
    run: (attempt) =>
      sendRaw(attempt, 'GET /api/pets', [
        `Host: ${hostOf(attempt.attacker).host}`,
        `Host: ${hostOf(attempt.victim).host}`,
      ]),
  },
  {
    name: 'an absolute URL with another host as the target',
    layers: everywhere('strict HTTP', 'authorization'),
    run: (attempt) =>
      sendRaw(attempt, `GET http://${hostOf(attempt.victim).host}/api/pets`, [
        `Host: ${hostOf(attempt.attacker).host}`,
      ]),
  },
  {
    name: 'an encoded slug in the path',
    layers: everywhere('strict HTTP', 'authorization'),
    run: (attempt) =>
      attempt.send(`GET /%76${attempt.victim.slug.slice(1)}/api/pets`, own(attempt)),
  },
  {
    name: 'a request smuggled before the next one on the connection',
    layers: everywhere('strict HTTP'),
    run: sendSmuggled,
  },
  {
    name: 'the existence of tenants, by the answers',
    layers: everywhere('one 404'),
    run: async (attempt) => {
      const ask = (slug: string) =>
        attempt.send('GET /api/pets', { ...own(attempt), 'x-tenant-id': slug });
      attempt.mustBeAlike(await ask(attempt.victim.slug), await ask('nobody'));
    },
  },
  {
    name: 'the suspension of tenants, by the answers',
    layers: everywhere('one 404'),
    run: async (attempt) => {
      const { slug } = await suspended(attempt);
      const ask = (name: string) =>
        attempt.send('GET /api/pets', { ...own(attempt), 'x-tenant-id': name });
      attempt.mustBeAlike(await ask(slug), await ask('nobody'));
    },
  },
  {
    name: "a suspended tenant, named with another tenant's key",
    layers: everywhere('authorization', 'tenant status'),
    run: async (attempt) => {
      const { slug } = await suspended(attempt);
      await attempt.send('GET /api/config', { ...own(attempt), 'x-tenant-id': slug });
    },
  },
  {
    name: "a suspended tenant's own key",
    layers: everywhere('tenant status'),
    run: async (attempt) => {
      const { slug, apiKey } = await suspended(attempt);
      await attempt.send('GET /api/config', { ...bearer(apiKey), 'x-tenant-id': slug });
    },
  },
];

/** The attacker's own data is as secret as the victim's. */
async function suspended({ lab }: Attempt) {
  const tenant = await lab.other('sleeper');
  await lab.operator('PATCH /api/admin/tenants/sleeper', { status: 'active' });
  await tenant.call('PUT /api/config/welcome_message', { value: lab.mark });
  await lab.operator('PATCH /api/admin/tenants/sleeper', { status: 'suspended' });
  return tenant;
}

/** An archive is compressed, and the judge reads text. */
async function takeArchive(attempt: Attempt): Promise<void> {
  const outgoing = get(`${attempt.lab.server.url}/api/export`, {
    headers: { ...own(attempt), ...headerOf(attempt.victim) },
  });
  const [incoming]: IncomingMessage[] = await once(outgoing, 'response');
  if (!incoming) throw new Error('Cannot read an answer: there is none');
  const bytes = await buffer(incoming);
  const status = incoming.statusCode ?? 0;
  const text = status === 200 ? gunzipSync(bytes).toString() : bytes.toString();
  attempt.keep({ status, headers: JSON.stringify(incoming.headers), text });
}
