/** The operator's side of a tenant's life: create, look, change, delete. */
import * as v from 'valibot';
import { json, noContent, resource } from '../../http/reply.ts';
import { route } from '../../http/route.ts';
import { Refusal } from '../../kernel/errors.ts';
import { assertIdempotencyKey } from '../../kernel/idempotency_key.ts';
import { parseSlug, type Slug } from '../../kernel/tenant.ts';
import { defaultLimit, email, limit, text } from '../fields.ts';
import { cursor, page } from '../page.ts';
import type { Operator } from './operator.ts';

type View = { slug: string };

type NewTenant = {
  slug: Slug;
  name: string;
  plan: string;
  isolation: string;
  adminEmail: string;
};

/** What these routes ask of the fleet. */
export type TenantLifeCycle = {
  create(
    newTenant: NewTenant,
    meta: { requestId: string; idempotencyKey: string | null; rawBody: string },
  ): Promise<{ tenant: View }>;
  /** False when there is none. */
  remove(slug: Slug, requestId: string): Promise<boolean>;
  list(page: { limit: number; after: string | null }): Promise<View[]>;
  find(slug: Slug): Promise<View | null>;
  patch(
    slug: Slug,
    patch: v.InferOutput<typeof tenantPatch>,
    requestId: string,
    assertChangeable: ((current: View) => void) | null,
  ): Promise<View | null>;
};

const slug = v.pipe(
  v.string('Expected a string'),
  v.rawTransform<string, Slug>(({ dataset, addIssue, NEVER }) => {
    const parsed = parseSlug(dataset.value);
    if (parsed) return parsed;
    addIssue({
      message:
        'Expected 3 to 40 of a-z, 0-9 and "-", a letter first, no "-" at the end or at both places 3 and 4, no reserved word',
    });
    return NEVER;
  }),
);

const tenantPatch = v.object({
  name: v.optional(text(200)),
  plan: v.optional(text(40)),
  status: v.optional(v.picklist(['active', 'suspended'], 'Expected "active" or "suspended"')),
});

const listQuery = v.object({
  limit: v.optional(limit),
  cursor: v.optional(cursor((part) => parseSlug(part) !== null)),
});

export type TenantDefaults = {
  /** The mode of a tenant that comes without one. */
  isolation: string;
  isolationModes: readonly string[];
  /** Emails leave the machine: none may go to an address that nobody has given. */
  sendsMail: boolean;
};

/** What an operator says of a new tenant, by HTTP or in a shell. */
export function newTenant({ sendsMail, isolationModes }: Omit<TenantDefaults, 'isolation'>) {
  return v.object({
    slug,
    name: text(200),
    plan: v.optional(text(40), 'free'),
    isolation: v.optional(v.picklist(isolationModes, `Expected ${anyOf(isolationModes)}`)),
    admin_email: sendsMail ? email : v.optional(email),
  });
}

/** @example anyOf(['a', 'b', 'c']) // '"a", "b" or "c"' */
function anyOf(names: readonly string[]): string {
  return names
    .map((name) => `"${name}"`)
    .join(', ')
    .replace(/, ("[^"]*")$/, ' or $1');
}

/** The address of a first admin when none was given, which is so only where no email leaves. */
export function inventedEmail(slug: Slug): string {
  return `admin@${slug}.com`;
}

export function tenantRoutes(tenants: TenantLifeCycle, defaults: TenantDefaults) {
  return [
    route(
      'POST',
      '/api/admin/tenants',
      { body: newTenant(defaults) },
      async (operator: Operator, { body }) => {
        if (operator.idempotencyKey !== null) assertIdempotencyKey(operator.idempotencyKey);
        const input: NewTenant = {
          slug: body.slug,
          name: body.name,
          plan: body.plan,
          isolation: body.isolation ?? defaults.isolation,
          adminEmail: body.admin_email ?? inventedEmail(body.slug),
        };
        const result = await tenants.create(input, { ...operator, rawBody: JSON.stringify(body) });
        return json(201, result, { location: `/api/admin/tenants/${body.slug}` });
      },
    ),

    route(
      'GET',
      '/api/admin/tenants',
      { query: listQuery },
      async (_operator: Operator, { query, target }) => {
        const most = query.limit ?? defaultLimit;
        const rows = await tenants.list({ limit: most + 1, after: query.cursor?.[0] ?? null });
        return page(rows, { limit: most, target }, (tenant) => [tenant.slug]);
      },
    ),

    route('GET', '/api/admin/tenants/{slug}', {}, async (_operator: Operator, { params }) => {
      return resource(200, (await tenants.find(slugOf(params.slug))) ?? notFound());
    }),

    route(
      'PATCH',
      '/api/admin/tenants/{slug}',
      { body: tenantPatch, checksPreconditions: true },
      async ({ requestId }: Operator, { params, body, assertChangeable }) => {
        const tenant = await tenants.patch(slugOf(params.slug), body, requestId, assertChangeable);
        return resource(200, tenant ?? notFound());
      },
    ),

    route(
      'DELETE',
      '/api/admin/tenants/{slug}',
      { checksPreconditions: true },
      async ({ requestId }: Operator, { params, assertChangeable }) => {
        const slug = slugOf(params.slug);
        // A deletion is long, and what changes a tenant meanwhile is deleted with it.
        assertChangeable?.((await tenants.find(slug)) ?? notFound());
        const removed = await tenants.remove(slug, requestId);
        return removed ? noContent() : notFound();
      },
    ),
  ];
}

function slugOf(text: string): Slug {
  return parseSlug(text) ?? notFound();
}

function notFound(): never {
  throw new Refusal('not_found', { detail: 'Not found' });
}
