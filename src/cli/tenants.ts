/** `npm run tenants -- list | create | suspend | resume | delete`: a tenant's life from a shell. */
import { parseArgs } from 'node:util';
import * as v from 'valibot';
import type { Backstage } from '../backstage.ts';
import type { Config } from '../config.ts';
import { isolationModes, parseSlug, type Slug } from '../kernel/tenant.ts';
import { print, runCommand, UsageError } from './command.ts';

const usage = `Usage: npm run tenants -- list
       npm run tenants -- create SLUG [--name NAME] [--plan PLAN] [--isolation MODE] [--email ADDRESS]
       npm run tenants -- suspend|resume|delete SLUG`;

const pageSize = 100;

const printable = v.pipe(v.string(), v.minLength(1), v.maxLength(200), v.regex(/^\P{Cc}+$/u));

await runCommand(usage, async (backstage, config) => {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      name: { type: 'string' },
      plan: { type: 'string' },
      isolation: { type: 'string' },
      email: { type: 'string' },
    },
  });
  const [action, slug, ...rest] = positionals;
  if (rest.length > 0) throw new UsageError(`Cannot understand "${rest.join(' ')}"`);
  if (action === 'list' && slug === undefined) return list(backstage);
  if (action === 'create') return create(backstage, config, { slug: slugOf(slug), ...values });
  if (action === 'suspend') return setStatus(backstage, slugOf(slug), 'suspended');
  if (action === 'resume') return setStatus(backstage, slugOf(slug), 'active');
  if (action === 'delete') return remove(backstage, slugOf(slug));
  throw new UsageError('Cannot do that: say list, create, suspend, resume or delete');
});

async function list({ registry }: Backstage): Promise<number> {
  let after: string | null = null;
  do {
    const tenants = await registry.list({ limit: pageSize, after });
    for (const { slug, status, plan, isolation, schema_version: version } of tenants) {
      print(`${slug.padEnd(40)} ${status.padEnd(12)} ${plan.padEnd(12)} ${isolation} v${version}`);
    }
    after = tenants.length === pageSize ? (tenants.at(-1)?.slug ?? null) : null;
  } while (after !== null);
  return 0;
}

type Wish = {
  slug: Slug;
  name?: string | undefined;
  plan?: string | undefined;
  isolation?: string | undefined;
  email?: string | undefined;
};

async function create({ onboarding }: Backstage, config: Config, wish: Wish): Promise<number> {
  const { slug, name = slug, plan = 'free', email = `admin@${slug}.com` } = wish;
  const isolation = isolationModes.find((mode) => mode === (wish.isolation ?? config.isolation));
  if (!isolation) throw new UsageError(`Cannot use --isolation ${wish.isolation}`);
  if (!v.is(printable, name)) throw new UsageError('Cannot use --name: 1 to 200 characters');
  if (!v.is(v.pipe(v.string(), v.email()), email))
    throw new UsageError(`Cannot use --email ${email}`);
  const { tenant, admin } = await onboarding.create(
    { slug, name, plan, isolation, adminEmail: email },
    { requestId: null, idempotencyKey: null },
  );
  print(`${tenant.slug} is ready (${tenant.plan}, ${tenant.isolation})`);
  print(`admin:   ${admin.email}`);
  print(`api key: ${admin.api_key}`);
  return 0;
}

async function setStatus({ registry }: Backstage, slug: Slug, status: 'active' | 'suspended') {
  const tenant = await registry.patch(slug, { status }, null);
  if (!tenant) throw new Error(`Cannot change "${slug}": there is no such tenant`);
  print(`${slug} is ${tenant.status}`);
  return 0;
}

async function remove({ onboarding }: Backstage, slug: Slug): Promise<number> {
  const removed = await onboarding.remove(slug, null);
  if (!removed) throw new Error(`Cannot delete "${slug}": there is no such tenant`);
  print(`${slug} is gone`);
  return 0;
}

function slugOf(text: string | undefined): Slug {
  if (text === undefined) throw new UsageError('Cannot do that: name the tenant');
  const slug = parseSlug(text);
  if (!slug) throw new UsageError(`Cannot use "${text}": it is no slug`);
  return slug;
}
