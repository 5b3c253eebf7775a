/** The three demo tenants, created at the first start, and the `curl` commands that try them. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import type { Config } from './config.ts';
import { isFirstKey } from './control_plane/provisioning/tenant_record.ts';
import { Refusal } from './kernel/errors.ts';
import { parseSlug } from './kernel/tenant.ts';
import { writePrivate } from './private_file.ts';
import type { Services } from './services.ts';

const tenants = [
  { slug: 'acme-pets', name: 'Acme Pets', plan: 'free' },
  { slug: 'fluffy-friends', name: 'Fluffy Friends', plan: 'basic' },
  { slug: 'paws-and-claws', name: 'Paws and Claws', plan: 'premium' },
];

/** API keys by slug. */
export type DemoKeys = Record<string, string>;

/**
 * Onboards the demo tenants at the first start, writes their keys to `demo.json`, and returns those that can be
 * used. A start after a killed one returns the same API keys, because of the idempotency keys.
 */
export async function onboardDemo(services: Services, config: Config): Promise<DemoKeys> {
  const file = join(config.dataFolder, 'demo.json');
  const known = await keysIn(file);
  if (known && areOurs(known, services)) return ofActive(known, services);
  const keys: DemoKeys = {};
  for (const { name, plan, ...demo } of tenants) {
    const slug = parseSlug(demo.slug);
    if (!slug) throw new Error(`Cannot onboard "${demo.slug}": it is not a valid slug`);
    const newTenant = {
      slug,
      name,
      plan,
      isolation: config.isolation,
      adminEmail: `admin@${slug}.com`,
      skipWelcomeEmail: config.smtpUrl !== null,
    };
    const meta = { requestId: null, idempotencyKey: idempotencyKeyOf(slug), rawBody: slug };
    try {
      const { admin } = await services.onboarding.create(newTenant, meta);
      keys[slug] = admin.api_key;
    } catch (error) {
      if (!(error instanceof Refusal && error.code === 'slug_taken')) throw error;
    }
  }
  await writePrivate(file, `${JSON.stringify(keys, null, 2)}\n`);
  return keys;
}

function idempotencyKeyOf(slug: string): string {
  return `demo ${slug}`;
}

/** The keys without those of tenants that were suspended, or deleted, perhaps for others of the same slug. */
async function ofActive(keys: DemoKeys, { control }: Services): Promise<DemoKeys> {
  const active = await control<{ slug: string }>`
    select slug from control.tenants
    where idempotency_key = any (${Object.keys(keys).map(idempotencyKeyOf)}) and status = 'active'`;
  return Object.fromEntries(active.map(({ slug }) => [slug, keys[slug] ?? '']));
}

/** The keys in a file; null when it is missing or invalid. */
async function keysIn(file: string): Promise<DemoKeys | null> {
  try {
    return v.parse(v.record(v.string(), v.string()), JSON.parse(await readFile(file, 'utf8')));
  } catch {
    return null;
  }
}

/** True when this database's secret gives these keys: the file may be of an earlier database. */
function areOurs(keys: DemoKeys, { fleet }: Services): boolean {
  return Object.values(keys).every((key) => isFirstKey(key, fleet.installation));
}

/**
 * Commands to paste, one for each way to name a tenant. The first contains the address of its subdomain,
 * because not every resolver knows `*.localhost`.
 */
export function demoLines(keys: DemoKeys, config: Config, url: string): string[] {
  const { port, hostname } = new URL(url);
  const host = `acme-pets.${config.baseDomain}`;
  const bearer = (slug: string) => `-H 'Authorization: Bearer ${keys[slug]}'`;
  const ways: Record<string, { slug: string; line: string }> = {
    subdomain: {
      slug: 'acme-pets',
      line: `--resolve ${host}:${port}:${hostname} ${bearer('acme-pets')} http://${host}:${port}/api/pets`,
    },
    path: {
      slug: 'fluffy-friends',
      line: `${bearer('fluffy-friends')} ${url}/fluffy-friends/api/pets`,
    },
    header: {
      slug: 'paws-and-claws',
      line: `${bearer('paws-and-claws')} -H 'X-Tenant-ID: paws-and-claws' ${url}/api/pets`,
    },
  };
  const lines = config.resolution.flatMap((strategy) => {
    const way = ways[strategy];
    return way && keys[way.slug] ? [`curl ${way.line}`] : [];
  });
  return lines.length > 0 ? [...lines, ...resolverHint(config)] : [];
}

/** A hint for clients that ask a resolver; browsers and new versions of curl know `*.localhost`. */
function resolverHint({ resolution, baseDomain }: Config): string[] {
  if (!resolution.includes('subdomain') || !/(?:^|\.)localhost$/.test(baseDomain)) return [];
  return [
    `# Python, Node and Java may not find *.${baseDomain}: name the tenant by path or X-Tenant-ID.`,
  ];
}
