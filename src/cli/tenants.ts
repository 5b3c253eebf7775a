/** `npm run tenants -- ACTION …`: manages tenants from a shell. */
import * as v from 'valibot';
import type { DeletionReceipt } from '../control_plane/provisioning/deletion_receipt.ts';
import type { TenantView } from '../control_plane/provisioning/tenant_admin.ts';
import { assertServer } from '../control_plane/servers/server_list.ts';
import { isolationModes } from '../isolation/modes.ts';
import { printable } from '../kernel/printable_text.ts';
import { mainServer, type Slug } from '../kernel/tenant.ts';
import { inventedEmail, newTenantFields } from '../routes/admin/tenants.ts';
import { openServices, type Services } from '../services.ts';
import { type Arguments, assertNoMore, UsageError } from './arguments.ts';
import { print, printJson, runCommand, type Work } from './command.ts';
import { assertConfirmable, isConfirmed } from './confirm.ts';
import { moveTenant } from './move_tenant.ts';
import { withProgress } from './progress.ts';
import { queryTenants } from './query.ts';
import { table } from './table.ts';
import { exportToFile, importFile, restoreFile } from './tenant_archive.ts';
import { slugArgument } from './where.ts';

const usage = `Usage: npm run tenants -- list [--json]
       npm run tenants -- query "SQL" [--where plan=NAME|isolation=MODE|slug=A,B] [--json]
       npm run tenants -- create SLUG [--name NAME] [--plan PLAN] [--isolation MODE] [--server NAME] [--email ADDRESS] [--json]
       npm run tenants -- suspend|resume SLUG [--json]
       npm run tenants -- move SLUG --to MODE [--server NAME] [--json]
       npm run tenants -- export SLUG FILE [--with-keys] [--json]   writes a new file
       npm run tenants -- import FILE --slug SLUG [--isolation MODE] [--server NAME] [--plan PLAN] [--json]
       npm run tenants -- restore SLUG FILE [--from SLUG] [--json]   --from: the tenant of the file, if it is another one
       npm run tenants -- delete SLUG [--yes] [--json]`;

const pageSize = 100;

const options = {
  name: { type: 'string' },
  plan: { type: 'string' },
  isolation: { type: 'string' },
  email: { type: 'string' },
  to: { type: 'string' },
  server: { type: 'string' },
  where: { type: 'string', multiple: true },
  slug: { type: 'string' },
  from: { type: 'string' },
  'with-keys': { type: 'boolean' },
  yes: { type: 'boolean' },
  json: { type: 'boolean' },
} as const;

/** The flag of a field, when their names differ. */
const flagOf: Readonly<Record<string, string>> = { admin_email: '--email' };

type Values = Arguments<typeof options>['values'];

type Action = {
  flags: readonly string[];
  /** How many words it takes. */
  words: number;
  work(words: readonly (string | undefined)[], values: Values): Work;
};

const actions: Readonly<Record<string, Action>> = {
  list: {
    flags: ['json'],
    words: 0,
    work: (_words, values) => (services) => list(services, values),
  },
  query: {
    flags: ['where', 'json'],
    words: 1,
    work: ([text], values) => queryTenants(text, values),
  },
  create: {
    flags: ['name', 'plan', 'isolation', 'server', 'email', 'json'],
    words: 1,
    work: ([slug], values) => create(slugIn(slug), values),
  },
  suspend: {
    flags: ['json'],
    words: 1,
    work: ([slug], values) => setStatus(slugIn(slug), 'suspended', values),
  },
  resume: {
    flags: ['json'],
    words: 1,
    work: ([slug], values) => setStatus(slugIn(slug), 'active', values),
  },
  move: {
    flags: ['to', 'server', 'json'],
    words: 1,
    work: ([slug], values) => moveTenant(slugIn(slug), values),
  },
  delete: {
    flags: ['yes', 'json'],
    words: 1,
    work: ([slug], values) => remove(slugIn(slug), values),
  },
  export: {
    flags: ['with-keys', 'json'],
    words: 2,
    work: ([slug, file], values) => exportToFile(slugIn(slug), fileOf(file), values),
  },
  import: {
    flags: ['slug', 'isolation', 'server', 'plan', 'json'],
    words: 1,
    work: ([file], values) => importFile(fileOf(file), slugIn(values.slug), values),
  },
  restore: {
    flags: ['from', 'json'],
    words: 2,
    work: ([slug, file], values) => restoreFile(slugIn(slug), fileOf(file), values),
  },
};

await runCommand({
  open: openServices,
  usage,
  options,
  installs: ({ positionals: [action = ''] }) =>
    ['list', 'query'].includes(action) ? 'never' : 'always',
  parse: ({ positionals, values }) => {
    const [name = '', ...words] = positionals;
    const action = Object.hasOwn(actions, name) ? actions[name] : undefined;
    if (!action) {
      const known = Object.keys(actions)
        .join(', ')
        .replace(/, (\w+)$/, ' or $1');
      throw new UsageError(`Cannot do "${name}": use ${known}`);
    }
    assertNoMore(words.slice(action.words));
    assertFlags(name, action.flags, values);
    return action.work(words, values);
  },
});

function assertFlags(action: string, flags: readonly string[], values: Values): void {
  const [other] = Object.keys(values).filter((name) => !flags.includes(name));
  if (other !== undefined) throw new UsageError(`Cannot use --${other} with "${action}"`);
}

function slugIn(text: string | undefined): Slug {
  if (text === undefined) throw new UsageError('Cannot find the tenant: its slug is missing');
  return slugArgument(text);
}

function fileOf(text: string | undefined): string {
  if (!text) throw new UsageError('Cannot find the archive: its file is missing');
  return text;
}

async function list({ registry }: Services, { json }: Values): Promise<number> {
  const tenants: TenantView[] = [];
  let after: string | null = null;
  do {
    const page = await registry.list({ limit: pageSize, after });
    tenants.push(...page);
    after = page.length === pageSize ? (page.at(-1)?.slug ?? null) : null;
  } while (after !== null);
  if (json) printJson(tenants);
  else for (const line of tableOf(tenants)) print(line);
  return 0;
}

/** The servers are shown when there are several. */
function tableOf(tenants: readonly TenantView[]): string[] {
  const hasServers = tenants.some(({ server }) => server !== mainServer);
  return table(
    ['slug', 'status', 'plan', 'isolation', 'version', ...(hasServers ? ['server'] : [])],
    tenants.map((tenant) => [
      tenant.slug,
      tenant.status,
      tenant.plan,
      tenant.isolation,
      String(tenant.schema_version),
      ...(hasServers ? [tenant.server] : []),
    ]),
  );
}

function create(slug: Slug, { json, ...values }: Values): Work {
  const { name, plan, isolation, server = null, adminEmail } = newTenantOf(slug, values);
  return async ({ onboarding, control }, config) => {
    if (adminEmail === undefined && config.smtpUrl !== null) {
      throw new UsageError('Cannot create a tenant without --email where SMTP_URL is set');
    }
    if (server !== null) await assertServer(control, server);
    const newTenant = {
      ...{ slug, name, plan, server },
      isolation: isolation ?? config.isolation,
      adminEmail: adminEmail ?? inventedEmail(slug),
    };
    const request = { requestId: null, idempotencyKey: null, rawBody: '' };
    const created = await onboarding.create(newTenant, request);
    if (json) {
      printJson(created);
      return 0;
    }
    const { tenant, admin } = created;
    print(`${tenant.slug} is ready (${tenant.plan}, ${tenant.isolation})`);
    print(`admin:   ${admin.email}`);
    print(`api key: ${admin.api_key}`);
    return 0;
  };
}

/**
 * Checks the values by the same rules as the API.
 *
 * @throws {UsageError} that names the flag with a wrong value.
 */
function newTenantOf(slug: Slug, { name = slug, plan, isolation, server, email }: Values) {
  const fields = { slug, name, plan, isolation, server, admin_email: email };
  const parsed = v.safeParse(
    newTenantFields({ sendsMail: false, isolationModes }),
    JSON.parse(JSON.stringify(fields)),
  );
  if (!parsed.success) {
    const [issue] = parsed.issues;
    const field = v.getDotPath(issue) ?? '';
    throw new UsageError(`Cannot use ${flagOf[field] ?? `--${field}`}: ${issue.message}`);
  }
  const { admin_email: adminEmail, ...rest } = parsed.output;
  return { ...rest, adminEmail };
}

function setStatus(slug: Slug, status: 'active' | 'suspended', { json }: Values): Work {
  return async ({ registry }) => {
    const tenant = await registry.patch(slug, { status }, null);
    if (!tenant) throw new Error(`Cannot change "${slug}": there is no such tenant`);
    if (json) printJson(tenant);
    else print(`${slug} is ${tenant.status}`);
    return 0;
  };
}

/** @throws {UsageError} without `--yes` when there is no terminal for the question. */
function remove(slug: Slug, { yes = false, json }: Values): Work {
  assertConfirmable(`delete "${slug}"`, yes);
  return async ({ registry, onboarding }) => {
    const found = await registry.find(slug);
    if (!found) throw new Error(`Cannot delete "${slug}": there is no such tenant`);
    const question = `This deletes all data of "${printable(found.name)}". Type its slug to continue: `;
    if (!yes && !(await isConfirmed(question, slug)))
      throw new Error(`Cannot delete "${slug}": it was not confirmed`);
    const receipt = await withProgress((onProgress) => onboarding.remove(slug, null, onProgress));
    if (!receipt) throw new Error(`Cannot delete "${slug}": there is no such tenant`);
    if (json) printJson({ deleted: true, ...receipt });
    else printReceipt(receipt);
    return 0;
  };
}

function printReceipt({ slug, tables, account, trail_hash: hash }: DeletionReceipt): void {
  print(`${slug} was deleted`);
  for (const [name, rows] of Object.entries({ ...tables, ...account })) print(`${name}: ${rows}`);
  print(`its audit trail is kept, and ends with ${hash}`);
}
