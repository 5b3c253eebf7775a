/**
 * No enumeration: requests that must not be distinguishable get the same answer by the same work.
 * Times are compared by `npm run measure -- enumeration`.
 */
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { apiKeyIn, formatApiKey } from '../../src/adapters/directory/api_key.ts';
import {
  CachedDirectory,
  type DirectorySource,
} from '../../src/adapters/directory/cached_directory.ts';
import { postgresDirectory } from '../../src/adapters/directory/postgres_directory.ts';
import type { App } from '../../src/app.ts';
import { limits } from '../../src/limits.ts';
import {
  type Answer,
  bearer,
  type Client,
  clientOf,
  type Onboarded,
  onboard,
  operatorOf,
  send,
  ways,
} from '../support/client.ts';
import { type Lab, type LabOptions, openLab } from '../support/lab.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';

type Counted = { queries: number; denials: number };

/** The refusal of a request, and its cost. */
type Refused = { answer: string; work: Counted };

let database: TestDatabase;
let lab: Lab;
let acme: Onboarded;
let asleep: Onboarded;
let revokedKey: string;
const counted: Counted = { queries: 0, denials: 0 };

before(async () => {
  database = await testDatabase();
  lab = await openCounting();
  acme = await onboard(lab, 'acme-pets');
  asleep = await onboard(lab, 'sleeping-dogs');
  await onboard(lab, 'fluffy-friends');
  revokedKey = await revoked(acme);
  await operatorOf(lab)('PATCH /api/admin/tenants/sleeping-dogs', { status: 'suspended' });
});

after(async () => {
  await lab.close();
  await database.drop();
});

const lines = ['GET /api/pets', 'POST /api/pets'];

describe('an unknown, a foreign and a suspended tenant', () => {
  for (const way of ways) {
    it(`get the same bytes by the same work when named by ${way}`, async () => {
      for (const line of lines)
        assertAlike(await tenants(lab, (named) => ({ ...named, way }), line));
    });
  }

  it('control: differ when unknown tenants are looked up', async () => {
    const broken = await openCounting({
      first: async ({ facts }, { services }) => {
        const [slug = ''] = facts.tenantHeaders;
        if (/acme|fluffy|sleeping/.test(slug)) return;
        counted.queries += 1;
        await services.control`select from control.tenants where slug = ${slug}`;
      },
    });
    const refusals = await tenants(broken, (named) => named).finally(() => broken.close());
    assert.throws(() => assertAlike(refusals), { code: 'ERR_ASSERTION' });
  });
});

describe('an unknown key, a wrong secret and a revoked key', () => {
  it('get the same bytes by the same work', async () => {
    for (const line of lines) assertAlike(await keys(lab, line));
  });

  it('get the same reply as a malformed key', async () => {
    const [{ answer } = { answer: '' }] = await keys(lab);
    assert.equal((await refusalOf(wrongKey(lab, 'kn_no_key'))).answer, answer);
  });

  it('control: differ when unknown keys are cached', async () => {
    const broken = await openCounting({}, remembering);
    const refusals = await keys(broken).finally(() => broken.close());
    assert.throws(() => assertAlike(refusals), { code: 'ERR_ASSERTION' });
  });
});

/** A server that counts the look-ups in its registry and the notes in its trail. */
function openCounting(options: LabOptions = {}, around = (registry: DirectorySource) => registry) {
  return openLab(database.url, {
    ...options,
    alter: (parts, app) => ({
      ...parts,
      directory: new CachedDirectory(around(counting(app)), limits.directory),
      denials: {
        note: (denial) => {
          counted.denials += 1;
          parts.denials.note(denial);
        },
      },
    }),
  });
}

function counting(app: () => App): DirectorySource {
  const registry = () => postgresDirectory(app().services.lookups);
  return {
    caller: (id, digest) => {
      counted.queries += 1;
      return registry().caller(id, digest);
    },
    tenant: (id) => {
      counted.queries += 1;
      return registry().tenant(id);
    },
  };
}

/** A registry behind a cache of ids that no key has. */
function remembering(registry: DirectorySource): DirectorySource {
  const unknown = new Set<string>();
  const there = [acme.apiKey, revokedKey].map((key) => apiKeyIn(`Bearer ${key}`)?.id);
  return {
    ...registry,
    caller: async (id, digest) => {
      if (unknown.has(id)) return null;
      const known = await registry.caller(id, digest);
      if (!there.includes(id)) unknown.add(id);
      return known;
    },
  };
}

type Named = Parameters<typeof clientOf>[1];

async function tenants(server: Lab, named: (tenant: Named) => Named, line?: string) {
  const { apiKey } = acme;
  const cases = [
    { slug: 'nobody-at-all', apiKey },
    { slug: 'fluffy-friends', apiKey },
    { slug: 'sleeping-dogs', apiKey },
    { slug: 'sleeping-dogs', apiKey: asleep.apiKey },
    { slug: 'nobody-at-all', apiKey: asleep.apiKey },
  ];
  return inTurn(
    cases.map((tenant) => clientOf(server, named(tenant))),
    line,
  );
}

function keys(server: Lab, line?: string): Promise<Refused[]> {
  const [, keyId = ''] = acme.apiKey.split('_');
  const unknown = formatApiKey(randomUUID(), randomBytes(32));
  const wrong = formatApiKey(keyId, randomBytes(32));
  return inTurn(
    [unknown, wrong, revokedKey].map((key) => wrongKey(server, key)),
    line,
  );
}

/** Each twice: the first request fills the caches, the second is counted. */
async function inTurn(calls: Client[], line?: string): Promise<Refused[]> {
  for (const call of calls) await refusalOf(call, line);
  const refusals: Refused[] = [];
  for (const call of calls) refusals.push(await refusalOf(call, line));
  return refusals;
}

function wrongKey({ url }: Lab, key: string): Client {
  return (line) => send(url, line, undefined, { ...bearer(key), 'x-tenant-id': acme.slug });
}

async function refusalOf(call: Client, line = 'GET /api/pets'): Promise<Refused> {
  const { queries, denials } = counted;
  const answer = await call(line);
  assert.ok(answer.status === 404 || answer.status === 401, answer.text);
  const work = { queries: counted.queries - queries, denials: counted.denials - denials };
  return { answer: comparable(answer), work };
}

function assertAlike([first, ...others]: Refused[]): void {
  assert.ok(others.length > 0);
  for (const other of others) assert.deepEqual(other, first);
}

/** All bytes of an answer except the date and those that depend on the request's id. */
function comparable({ status, headers, rawHeaders, text }: Answer): string {
  const id = String(headers['x-request-id']);
  const lasting = rawHeaders.map((value, at) => (rawHeaders[at - 1] === 'Date' ? '' : value));
  return [status, ...lasting, text].join('\n').replaceAll(id, '<request id>');
}

async function revoked({ call }: Onboarded): Promise<string> {
  const { user } = (await call('GET /api/me')).body;
  const made = await call(`POST /api/users/${user.id}/keys`);
  assert.equal(made.status, 201, made.text);
  const { status } = await call(`DELETE /api/keys/${made.body.id}`);
  assert.equal(status, 204);
  return made.body.api_key;
}
