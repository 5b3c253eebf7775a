/**
 * One query of the operator for every tenant, whatever its mode. It runs as a request of that tenant would:
 * as the serving role, behind row security, in the tenant's context and with its limits, in a transaction
 * that can only read. A tenant that moves meanwhile is asked at its new place; one that fails is named, and the
 * others are answered.
 */
import type { IsolationModes } from '../isolation/modes.ts';
import type { Relocation } from '../isolation/relocation.ts';
import { type Connections, readAsTenant } from '../isolation/tenant_db.ts';
import type { Db } from '../kernel/ports.ts';
import { assertServable, type SchemaVersions } from '../kernel/schema_versions.ts';
import type { Slug, TenantId } from '../kernel/tenant.ts';
import { causeOf, isPlacementGone } from '../postgres/errors.ts';
import { ServerError } from '../postgres/protocol/server_error.ts';
import { statementOf } from './generated_sql.ts';
import { chosen, type TenantFilter } from './tenant_filter.ts';

export type FleetQuery = {
  text: string;
  filter: TenantFilter;
  /** Tenants at the same time. */
  concurrency: number;
  /** The most rows of one tenant. */
  rows: number;
};

export type TenantAnswer = { slug: Slug } & (
  | { rows: object[]; isCut: boolean }
  | { error: string }
  | { skipped: string }
);

type QueryParts = {
  control: Db;
  connections: Connections;
  relocation: Relocation;
  fleet: { modes: Pick<IsolationModes, 'placementOf'> };
  schemaVersions: SchemaVersions;
};

type QueriedTenant = {
  id: TenantId;
  slug: Slug;
  plan: string;
  isolation: string;
  server: string;
  generation: number;
  status: string;
  schemaVersion: number;
  requiredVersion: number;
};

/**
 * Returns the number of chosen tenants, and their answers in the order of the slugs. Those of a slow tenant
 * hold back at most `concurrency` others, so few are held in memory.
 *
 * @throws {Error} when the filter names an unknown tenant or plan. While the answers are read: when the
 *   text is no query.
 */
export async function queryFleet(
  parts: QueryParts,
  query: FleetQuery,
): Promise<{ count: number; answers: AsyncIterable<TenantAnswer> }> {
  const all = await parts.control<QueriedTenant>`
    select id, slug, plan, isolation, server, generation, status, schema_version as "schemaVersion",
      required_version as "requiredVersion"
    from control.tenants
    order by slug`;
  const tenants = await chosen(parts.control, all, query.filter);
  return { count: tenants.length, answers: answersOf(parts, tenants, query) };
}

async function* answersOf(
  parts: QueryParts,
  tenants: readonly QueriedTenant[],
  { text, rows, concurrency }: FleetQuery,
): AsyncGenerator<TenantAnswer> {
  const statement = { text: onlyQuery(text, rows + 1), rows };
  const running: Promise<TenantAnswer>[] = [];
  for (const tenant of tenants) {
    if (running.length === concurrency) yield await nextOf(running);
    const answer = answerOf(parts, tenant, statement);
    // Its error is thrown when its turn comes, if the answers are still read then.
    answer.catch(() => {});
    running.push(answer);
  }
  while (running.length > 0) yield await nextOf(running);
}

function nextOf(running: Promise<TenantAnswer>[]): Promise<TenantAnswer> {
  const [next] = running.splice(0, 1);
  if (!next) throw new Error('Cannot take the next answer: none is running');
  return next;
}

/**
 * Returns the text as a sub-select, so that Postgres parses nothing but a query there, and reads few rows.
 * A line of its own, because the text may end with a comment.
 */
function onlyQuery(text: string, rows: number): TemplateStringsArray {
  return statementOf(`select * from (\n${text.replace(/;\s*$/, '')}\n) as result limit ${rows}`);
}

const inProgress: Readonly<Record<string, string>> = {
  provisioning: 'it is being created',
  deleting: 'it is being deleted',
};

/** @throws {Error} when Postgres cannot parse the text, which no other tenant could answer either. */
async function answerOf(
  parts: QueryParts,
  tenant: QueriedTenant,
  { text, rows }: { text: TemplateStringsArray; rows: number },
): Promise<TenantAnswer> {
  const { connections, relocation, schemaVersions } = parts;
  const { modes } = parts.fleet;
  const { id, slug, status } = tenant;
  const skipped = inProgress[status];
  if (skipped !== undefined) return { slug, skipped };
  const placement = modes.placementOf(tenant);
  try {
    assertServable(tenant, schemaVersions);
    const where = { id, placement, follow: relocation.follow(modes, tenant) };
    const found = await readAsTenant(connections, where, text);
    return { slug, rows: found.slice(0, rows), isCut: found.length > rows };
  } catch (error) {
    const cause = causeOf(error);
    if (isSyntaxError(cause)) throw new Error(`Cannot query: ${cause.message}`);
    if (isPlacementGone(error) && (await isDeleted(parts.control, id))) {
      return { slug, skipped: 'it was deleted' };
    }
    return { slug, error: cause.message };
  }
}

async function isDeleted(control: Db, id: TenantId): Promise<boolean> {
  const kept = await control`
    select from control.tenants where id = ${id} and status <> 'deleting'`;
  return kept.length === 0;
}

/** Whether Postgres cannot parse the text. A value of one tenant may have the same code, as in a cast. */
function isSyntaxError(cause: Error): boolean {
  return cause instanceof ServerError && cause.code === '42601' && cause.isInText;
}
