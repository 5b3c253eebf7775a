/** `npm run tenants -- list | create | suspend | resume | delete`: a tenant's life from a shell. */
import { parseArgs } from 'node:util';
import * as v from 'valibot';
import type { Backstage } from '../backstage.ts';
import type { Order } from '../fleet/founding.ts';
import { type IsolationMode, isolationModes, parseSlug, type Slug } from '../kernel/tenant.ts';
import { email as emailAddress } from '../routes/fields.ts';
import { print, runCommand, UsageError, type Work } from './command.ts';

const usage = `Usage: npm run tenants -- list
       npm run tenants -- create SLUG [--name NAME] [--plan PLAN] [--isolation MODE] [--email ADDRESS]
       npm run tenants -- suspend|resume|delete SLUG`;

const pageSize = 100;

const printable = v.pipe(v.string(), v.minLength(1), v.maxLength(200), v.regex(/^\P{Cc}+$/u));

await runCommand(usage, () => {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      name: { type: 'string' },
      plan: { type: 'string' },
      isolation: { type: 'string' },
      email: { type: 'string' },
    },
  });
  const [action, given, ...rest] = positionals;
  if (rest.length > 0) throw new UsageError(`Cannot understand "${rest.join(' ')}"`);
  if (action === 'list' && given === undefined) return list;
  if (!['create', 'suspend', 'resume', 'delete'].includes(action ?? '')) {
    throw new UsageError('Cannot do that: say list, create, suspend, resume or delete');
  }
  const slug = slugOf(given);
  if (action === 'create') return create(orderOf(slug, values));
  if (action === 'delete') return (backstage) => remove(backstage, slug);
  const status = action === 'suspend' ? 'suspended' : 'active';
  return (backstage) => setStatus(backstage, slug, status);
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

type Values = { [Option in 'name' | 'plan' | 'isolation' | 'email']?: string | undefined };

/** Without a mode it gets the one of `ISOLATION`. */
type Wish = Pick<Order, 'slug' | 'name' | 'plan'> & {
  isolation: IsolationMode | undefined;
  adminEmail: string | null;
};

function orderOf(slug: Slug, values: Values): Wish {
  const { name = slug, plan = 'free', email = null } = values;
  const isolation = isolationModes.find((mode) => mode === values.isolation);
  if (values.isolation !== undefined && !isolation) {
    throw new UsageError('Cannot use --isolation: expected shared, schema or database');
  }
  if (!v.is(printable, name)) throw new UsageError('Cannot use --name: 1 to 200 characters');
  if (email !== null && !v.is(emailAddress, email))
    throw new UsageError('Cannot use --email: expected an e-mail address');
  return { slug, name, plan, isolation, adminEmail: email };
}

function create(wish: Wish): Work {
  return async ({ onboarding }, config) => {
    if (config.smtpUrl !== null && wish.adminEmail === null) {
      throw new Error('Cannot create a tenant: give --email, because SMTP_URL is set');
    }
    const { isolation = config.isolation, adminEmail } = wish;
    const order = {
      ...wish,
      isolation,
      adminEmail: adminEmail ?? `admin@${wish.slug}.com`,
    };
    const commission = { requestId: null, idempotencyKey: null, asSent: '' };
    const { tenant, admin } = await onboarding.create(order, commission);
    print(`${tenant.slug} is ready (${tenant.plan}, ${tenant.isolation})`);
    print(`admin:   ${admin.email}`);
    print(`api key: ${admin.api_key}`);
    return 0;
  };
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
