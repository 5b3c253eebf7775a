/** Reads the chains of the audit trail in pages, as the control role. */
import type { Db } from '../../kernel/ports.ts';
import { type ChainedEvent, tenantlessChain } from './hash_chain.ts';

/** A chain at one moment. Later events are not verified, so that a busy chain has an end. */
export type ChainState = {
  chain: string;
  tenant: string | null;
  position: number | null;
  hash: Buffer | null;
  /** The last event's position, as text: a forged one may be beyond the numbers of JavaScript. */
  last: string | null;
};

type EventRow = ChainedEvent & { exactPosition: string };

/** The number of chains that have a head. Others may have lost theirs. */
export async function countChains(control: Db): Promise<number> {
  const [row] = await control<{ chains: number }>`
    select count(*) as chains from control.audit_chains`;
  return row?.chains ?? 0;
}

/** All chains that exist or should exist, in pages. */
export async function* chainsToVerify(
  control: Db,
  { slug, chainBatchSize }: { slug: string | null; chainBatchSize: number },
  witnessed: string[],
): AsyncGenerator<string[]> {
  if (slug !== null) {
    yield await chainsNamed(control, slug);
    return;
  }
  // The nil uuid is the smallest.
  let page = [tenantlessChain];
  for (;;) {
    yield page;
    const after = page.at(-1);
    if (after === undefined) return;
    page = await nextChains(control, { after, witnessed, limit: chainBatchSize });
  }
}

async function chainsNamed(control: Db, slug: string): Promise<string[]> {
  const rows = await control<{ chain: string }>`
    select id as chain from control.tenants where slug = ${slug}
    union
    select tenant_id from control.audit_events where tenant = ${slug} and tenant_id is not null`;
  if (rows.length > 0) return rows.map(({ chain }) => chain);
  throw new Error(`Cannot verify the trail of "${slug}": there is no such tenant, and never was`);
}

type PageOfChains = { after: string; witnessed: string[]; limit: number };

/**
 * The next chains, from all sources: events, heads, tenants and checkpoints, because any of them may have
 * been removed. The recursion jumps from chain to chain in the index instead of reading every event.
 */
async function nextChains(
  control: Db,
  { after, witnessed, limit }: PageOfChains,
): Promise<string[]> {
  const rows = await control<{ chain: string }>`
    with recursive trail (chain) as (
      (
        select coalesce(tenant_id, '00000000-0000-0000-0000-000000000000')
        from control.audit_events
        where coalesce(tenant_id, '00000000-0000-0000-0000-000000000000') > ${after}
        order by 1
        limit 1
      )
      union all
      select next.chain
      from trail
        cross join lateral (
          select coalesce(tenant_id, '00000000-0000-0000-0000-000000000000') as chain
          from control.audit_events
          where coalesce(tenant_id, '00000000-0000-0000-0000-000000000000') > trail.chain
          order by 1
          limit 1
        ) as next
    )
    select chain
    from (
      (select chain from trail limit ${limit})
      union
      select chain from control.audit_chains
      union
      select id from control.tenants where status in ('active', 'suspended')
      union
      select unnest(${witnessed}::uuid[])
    ) as known
    where chain > ${after}
    order by chain
    limit ${limit}`;
  return rows.map(({ chain }) => chain);
}

/** The states of these chains: one statement, so that head and last event are of the same moment. */
export function readStates(control: Db, chains: string[]): Promise<ChainState[]> {
  return control<ChainState>`
    select wanted.chain, coalesce(tenants.slug, left(last.tenant, 64)) as tenant,
      head.position::float8 as position,
      substr(head.hash, 1, 33) as hash,
      last.position::text as last
    from unnest(${chains}::uuid[]) as wanted (chain)
      left join control.audit_chains as head on head.chain = wanted.chain
      left join control.tenants on tenants.id = wanted.chain
      left join lateral (
        select position, tenant
        from control.audit_events
        where coalesce(tenant_id, '00000000-0000-0000-0000-000000000000') = wanted.chain
        order by coalesce(tenant_id, '00000000-0000-0000-0000-000000000000') desc, position desc
        limit 1
      ) as last on true
    order by wanted.chain`;
}

/**
 * The events of a chain in pages, from the smallest bigint on. `order by` repeats the expression and the column of
 * the index, and not the number of the same name; otherwise each page would sort the rest. The page ends with ties: if the unique index is missing,
 * events of the same position must not be divided between two pages. A forged time may be infinite, which
 * has no number.
 */
export async function* eventsOf(
  control: Db,
  { chain, last }: ChainState,
  { eventBatchSize, eventBytes }: { eventBatchSize: number; eventBytes: number },
): AsyncGenerator<ChainedEvent[]> {
  let from = '-9223372036854775808';
  while (last !== null) {
    const page = await control<EventRow>`
      select position::float8 as position, position::text as "exactPosition", seq::float8 as seq,
        left(event, 64) as event,
        substr(hash, 1, 33) as hash,
        case when octet_length(whole.text) <= ${eventBytes} then whole.text end as text
      from control.audit_events
        cross join lateral (
          select case
            when pg_column_size(event) + pg_column_size(actor) + pg_column_size(details)
              + coalesce(pg_column_size(tenant), 0) + coalesce(pg_column_size(request_id), 0)
              <= ${eventBytes}
            then jsonb_build_array(
              position, seq, id,
              case when isfinite(time) then trunc(extract(epoch from time) * 1000000) end,
              event, actor, tenant_id, tenant, request_id, audience, details
            )::text
          end
          -- Without this, the planner would compute the text twice.
          offset 0
        ) as whole (text)
      where coalesce(tenant_id, '00000000-0000-0000-0000-000000000000') = ${chain}
        and position >= ${from}
        and position <= ${last}
      order by coalesce(tenant_id, '00000000-0000-0000-0000-000000000000'), audit_events.position
      fetch first (${eventBatchSize}) rows with ties`;
    yield page;
    const end = page.at(-1)?.exactPosition ?? last;
    if (end === last) return;
    from = String(BigInt(end) + 1n);
  }
}
