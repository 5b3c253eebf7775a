/** The three demo tenants, onboarded at the first start, and the `curl` lines that try them. */
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
 * Onboards what is missing and keeps the keys in `demo.json`. A start that was killed half-way is
 * simply repeated: the idempotency key brings the same API key again.
 */
export async function onboardDemo(services: Services, config: Config): Promise<DemoKeys> {
  const file = join(config.dataFolder, 'demo.json');
  const known = await keysIn(file);
  if (known && areOurs(known, services)) return known;
  const keys: DemoKeys = {};
  for (const { name, plan, ...demo } of tenants) {
    const slug = parseSlug(demo.slug);
    if (!slug) throw new Error(`Cannot onboard "${demo.slug}": it is no slug`);
    const newTenant = {
      slug,
      name,
      plan,
      isolation: config.isolation,
      adminEmail: `admin@${slug}.com`,
      skipWelcomeEmail: config.smtpUrl !== null,
    };
    const meta = { requestId: null, idempotencyKey: `demo ${slug}`, rawBody: slug };
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

/** Null when there is no such file, or none that can be read as keys. */
async function keysIn(file: string): Promise<DemoKeys | null> {
  try {
    return v.parse(v.record(v.string(), v.string()), JSON.parse(await readFile(file, 'utf8')));
  } catch {
    return null;
  }
}

/** The file may have stayed when the database was changed: first keys follow from its secret. */
function areOurs(keys: DemoKeys, { fleet }: Services): boolean {
  return Object.values(keys).every((key) => isFirstKey(key, fleet.installation));
}

/**
 * Lines to paste, one for each way to name a tenant. The first names the address of the subdomain: no
 * resolver has to know `*.localhost`.
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

/** Browsers and new versions of curl find `*.localhost` by themselves; other clients ask a resolver. */
function resolverHint({ resolution, baseDomain }: Config): string[] {
  if (!resolution.includes('subdomain') || !/(?:^|\.)localhost$/.test(baseDomain)) return [];
  return [
    `# Python, Node and Java may not find *.${baseDomain}: name the tenant by path or X-Tenant-ID.`,
  ];
}
