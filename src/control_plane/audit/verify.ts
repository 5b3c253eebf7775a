/**
 * Verifies the audit trail: reads it page by page as the control role, who sees every tenant's
 * events, and computes every hash anew. Nothing here calls a function of ours in the database: who
 * can change the trail can change those too. Nor may anything in a chain end the verification: what
 * cannot be read is a finding, and the next chain's turn comes.
 */
import type { Db } from '../../kernel/ports.ts';
import {
  ChainCheck,
  type ChainedEvent,
  type ChainFacts,
  type Checkpoint,
  chainOfNobody,
  type Finding,
} from './hash_chain.ts';

export type VerificationOptions = {
  /** One tenant's trail, and that of earlier tenants of its name; null for all chains. */
  slug: string | null;
  /** What was kept outside the database. */
  checkpoints: readonly Checkpoint[];
  /** Chains, and events of one chain, that are read at once. */
  chainsAtOnce: number;
  eventsAtOnce: number;
  /** What the text of an event may have at most: above what the table's checks let in. */
  eventBytes: number;
  /** Findings of one chain that are named. */
  mostFindings: number;
};

export type Verification = {
  chains: number;
  events: number;
  findings: Finding[];
  /** Findings past the bound. */
  unnamed: number;
};

/** A chain at one moment: events come after its last one at any time, and none before. */
type Standing = {
  chain: string;
  tenant: string | null;
  position: number | null;
  hash: Buffer | null;
  /** The last event's position, as text: a forged one may be beyond the numbers of JavaScript. */
  last: string | null;
};

type EventRow = ChainedEvent & { exactPosition: string };

/** @throws {Error} when nothing is known of a tenant of that slug. */
export async function verifyTrail(
  control: Db,
  options: VerificationOptions,
): Promise<Verification> {
  const found: Verification = { chains: 0, events: 0, findings: [], unnamed: 0 };
  const checkpoints = byChain(options.checkpoints);
  for await (const chains of chainsToVerify(control, options, [...checkpoints.keys()])) {
    for (const standing of await standingsOf(control, chains, found)) {
      const witnesses = checkpoints.get(standing.chain) ?? [];
      await verifyChain(control, standing, { found, witnesses, options });
    }
  }
  return found;
}

/** Those of all chains that can be read; of the others a finding. */
async function standingsOf(
  control: Db,
  chains: string[],
  found: Verification,
): Promise<Standing[]> {
  try {
    return await readStandings(control, chains);
  } catch (error) {
    const reason = await reasonOf(control, error);
    const [chain = '', ...others] = chains;
    if (others.length > 0) {
      const all: Standing[] = [];
      for (const one of chains) all.push(...(await standingsOf(control, [one], found)));
      return all;
    }
    const message = `${chain}: the end of this chain cannot be read: ${reason}`;
    found.chains += 1;
    found.findings.push({
      kind: 'unreadable',
      chain,
      tenant: chain,
      position: 0,
      seq: null,
      message,
    });
    return [];
  }
}

/** Why something cannot be read. A database that is away is no finding: then this fails, too. */
async function reasonOf(control: Db, error: unknown): Promise<string> {
  await control`select`;
  return error instanceof Error ? error.message : String(error);
}

type Work = { found: Verification; witnesses: Checkpoint[]; options: VerificationOptions };

async function verifyChain(
  control: Db,
  standing: Standing,
  { found, witnesses, options }: Work,
): Promise<void> {
  const { eventsAtOnce, eventBytes, mostFindings } = options;
  // Every tenant has at least its beginning; that something befell nobody need not be.
  const begun = standing.position !== null || standing.last !== null || witnesses.length > 0;
  if (!begun && standing.chain === chainOfNobody) return;
  const check = new ChainCheck(factsOf(standing, witnesses, mostFindings));
  try {
    for await (const events of eventsOf(control, standing, { eventsAtOnce, eventBytes })) {
      for (const event of events) check.add(event);
      found.events += events.length;
    }
  } catch (error) {
    check.breakOff(await reasonOf(control, error));
  }
  const { findings, unnamed } = check.result();
  found.chains += 1;
  found.findings.push(...findings);
  found.unnamed += unnamed;
}

function factsOf(
  { chain, tenant, position, hash }: Standing,
  checkpoints: Checkpoint[],
  mostFindings: number,
): ChainFacts {
  const name = chain === chainOfNobody ? 'events of no tenant' : (tenant ?? chain);
  const head = position === null || hash === null ? null : { position, hash };
  return { chain, tenant: name, head, checkpoints, mostFindings };
}

/** All chains that there are or ought to be, in pages. */
async function* chainsToVerify(
  control: Db,
  { slug, chainsAtOnce }: VerificationOptions,
  witnessed: string[],
): AsyncGenerator<string[]> {
  if (slug !== null) {
    yield await chainsNamed(control, slug);
    return;
  }
  // No uuid comes before the nil one.
  let page = [chainOfNobody];
  for (;;) {
    yield page;
    const after = page.at(-1);
    if (after === undefined) return;
    page = await nextChains(control, { after, witnessed, limit: chainsAtOnce });
  }
}

async function chainsNamed(control: Db, slug: string): Promise<string[]> {
  const rows = await control<{ chain: string }>`
    select id as chain from control.tenants where slug = ${slug}
    union
    select tenant_id from control.audit_events where tenant = ${slug} and tenant_id is not null`;
  if (rows.length > 0) return rows.map(({ chain }) => chain);
  throw new Error(`Cannot verify the trail of "${slug}": there is no such tenant and never was`);
}

type PageOfChains = { after: string; witnessed: string[]; limit: number };

/**
 * Heads, chains without one, tenants without a chain, and chains that checkpoints speak of. The
 * recursion jumps from chain to chain along the index instead of reading every event.
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

/** One statement, so that head and last event are of the same moment. */
function readStandings(control: Db, chains: string[]): Promise<Standing[]> {
  return control<Standing>`
    select wanted.chain, coalesce(tenants.slug, left(last.tenant, 64)) as tenant, head.position,
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
 * A chain in pages, from the least position that Postgres knows. Ordered in the very words of the
 * index, or each page would sort the rest. With ties: should the unique index be gone, what shares
 * a position must not fall between two pages. A forged time may have no number, or too large a one.
 */
async function* eventsOf(
  control: Db,
  { chain, last }: Standing,
  { eventsAtOnce, eventBytes }: Pick<VerificationOptions, 'eventsAtOnce' | 'eventBytes'>,
): AsyncGenerator<ChainedEvent[]> {
  let from = '-9223372036854775808';
  while (last !== null) {
    const page = await control<EventRow>`
      select position, position::text as "exactPosition", seq, left(event, 64) as event,
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
          -- Else it would be made twice.
          offset 0
        ) as whole (text)
      where coalesce(tenant_id, '00000000-0000-0000-0000-000000000000') = ${chain}
        and position >= ${from}
        and position <= ${last}
      order by coalesce(tenant_id, '00000000-0000-0000-0000-000000000000'), position
      fetch first (${eventsAtOnce}) rows with ties`;
    yield page;
    const end = page.at(-1)?.exactPosition ?? last;
    if (end === last) return;
    from = String(BigInt(end) + 1n);
  }
}

function byChain(checkpoints: readonly Checkpoint[]): Map<string, Checkpoint[]> {
  const sorted = new Map<string, Checkpoint[]>();
  for (const checkpoint of checkpoints) {
    const known = sorted.get(checkpoint.chain);
    if (known) known.push(checkpoint);
    else sorted.set(checkpoint.chain, [checkpoint]);
  }
  return sorted;
}
