/** The operator's routes for tenants: create, list, change, delete. */
import * as v from 'valibot';
import { download, json, noContent, resource } from '../../http/reply.ts';
import { route } from '../../http/route.ts';
import { notFound } from '../../kernel/errors.ts';
import { assertIdempotencyKey } from '../../kernel/idempotency_key.ts';
import { parseSlug, type Slug } from '../../kernel/tenant.ts';
import { archiveFile } from '../export.ts';
import { defaultLimit, email, limit, text } from '../fields.ts';
import { cursor, page } from '../page.ts';
import type { Operator } from './operator.ts';

type View = { slug: string };

type NewTenant = {
  slug: Slug;
  name: string;
  plan: string;
  isolation: string;
  server: string | null;
  adminEmail: string;
};

/** The part of the control plane that these routes use. */
export type TenantLifeCycle = {
  create(
    tenant: NewTenant,
    request: { requestId: string; idempotencyKey: string | null; rawBody: string },
  ): Promise<{ tenant: View }>;
  /** Returns the receipt of the deletion; null when there is no such tenant. */
  remove(slug: Slug, requestId: string): Promise<object | null>;
  /** Returns the tenant's archive; null when there is no such tenant. */
  exportOf(slug: Slug): Promise<((requestId: string) => AsyncGenerator<Uint8Array>) | null>;
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
        'Expected 3 to 40 of a-z, 0-9 and "-": a letter first, no "-" at the end, no "xn--" at the beginning, no reserved word',
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
  /** The mode when a request names none. */
  isolation: string;
  isolationModes: readonly string[];
  /** Emails leave the machine, so `admin_email` is required: no email may go to an invented address. */
  sendsMail: boolean;
};

/** The fields of a new tenant, for HTTP and for the shell. */
export function newTenantFields({ sendsMail, isolationModes }: Omit<TenantDefaults, 'isolation'>) {
  return v.object({
    slug,
    name: text(200),
    plan: v.optional(text(40), 'free'),
    isolation: v.optional(modeOf(isolationModes)),
    server: v.optional(text(40)),
    admin_email: sendsMail ? email : v.optional(email),
  });
}

/** The name of an isolation mode. */
export function modeOf(isolationModes: readonly string[]) {
  return v.picklist(isolationModes, `Expected ${anyOf(isolationModes)}`);
}

/** @example anyOf(['a', 'b', 'c']) // '"a", "b" or "c"' */
function anyOf(names: readonly string[]): string {
  return names
    .map((name) => `"${name}"`)
    .join(', ')
    .replace(/, ("[^"]*")$/, ' or $1');
}

/** The first admin's address when none is given: only possible where emails are written to files. */
export function inventedEmail(slug: Slug): string {
  return `admin@${slug}.com`;
}

export function tenantRoutes(tenants: TenantLifeCycle, defaults: TenantDefaults) {
  return [
    route(
      'POST',
      '/api/admin/tenants',
      { body: newTenantFields(defaults) },
      async (operator: Operator, { body }) => {
        if (operator.idempotencyKey !== null) assertIdempotencyKey(operator.idempotencyKey);
        const created = await tenants.create(newTenantOf(body, defaults), {
          ...operator,
          rawBody: JSON.stringify(body),
        });
        return json(201, created, { location: `/api/admin/tenants/${body.slug}` });
      },
    ),

    route(
      'GET',
      '/api/admin/tenants',
      { query: listQuery },
      async (_operator: Operator, { query, target }) => {
        const pageSize = query.limit ?? defaultLimit;
        const rows = await tenants.list({ limit: pageSize + 1, after: query.cursor?.[0] ?? null });
        return page(rows, { limit: pageSize, target }, (tenant) => [tenant.slug]);
      },
    ),

    route('GET', '/api/admin/tenants/{slug}', {}, async (_operator: Operator, { params }) => {
      return resource(200, (await tenants.find(slugParam(params.slug))) ?? notFound());
    }),

    route(
      'GET',
      '/api/admin/tenants/{slug}/export',
      {},
      async (_operator: Operator, { params }) => {
        const slug = slugParam(params.slug);
        return download(archiveFile(slug), (await tenants.exportOf(slug)) ?? notFound());
      },
    ),

    route(
      'PATCH',
      '/api/admin/tenants/{slug}',
      { body: tenantPatch, checksPreconditions: true },
      async ({ requestId }: Operator, { params, body, assertChangeable }) => {
        const tenant = await tenants.patch(
          slugParam(params.slug),
          body,
          requestId,
          assertChangeable,
        );
        return resource(200, tenant ?? notFound());
      },
    ),

    route(
      'DELETE',
      '/api/admin/tenants/{slug}',
      { checksPreconditions: true },
      async (operator: Operator, { params, assertChangeable }) => {
        const slug = slugParam(params.slug);
        // A deletion takes long. A change of the tenant in the meantime is deleted with it.
        assertChangeable?.((await tenants.find(slug)) ?? notFound());
        const receipt = (await tenants.remove(slug, operator.requestId)) ?? notFound();
        if (!operator.prefersRepresentation) return noContent();
        return json(200, receipt, { 'preference-applied': 'return=representation' });
      },
    ),
  ];
}

function newTenantOf(
  { admin_email: address, ...body }: v.InferOutput<ReturnType<typeof newTenantFields>>,
  defaults: TenantDefaults,
): NewTenant {
  return {
    ...body,
    isolation: body.isolation ?? defaults.isolation,
    server: body.server ?? null,
    adminEmail: address ?? inventedEmail(body.slug),
  };
}

/** The slug in a path. @throws {Refusal} `not_found` for a text that is none. */
export function slugParam(text: string): Slug {
  return parseSlug(text) ?? notFound();
}
