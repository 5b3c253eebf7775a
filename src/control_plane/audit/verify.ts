/**
 * Verifies the audit trail: reads it page by page as the control role, which sees every tenant's events,
 * and computes every hash again. It calls no function of Kennel in the database, because an attacker who
 * can change the trail can change that function too. A chain that cannot be read is a fault, and does
 * not stop the verification of the others.
 */
import type { Db } from '../../kernel/ports.ts';
import {
  type ChainState,
  chainsToVerify,
  countChains,
  eventsOf,
  readStates,
} from './chain_reader.ts';
import {
  ChainCheck,
  type ChainFacts,
  type ChainFault,
  type Checkpoint,
  tenantlessChain,
} from './hash_chain.ts';

export type VerificationOptions = {
  /** One tenant's trail, and that of earlier tenants of its name; null for all chains. */
  slug: string | null;
  /** Checkpoints kept outside the database. */
  checkpoints: readonly Checkpoint[];
  /** Chains, and events of one chain, that one statement reads. */
  chainBatchSize: number;
  eventBatchSize: number;
  /** The largest text of an event that is read: above the limit of the table's checks. */
  eventBytes: number;
  /** Findings of one chain that are listed. */
  maxFaults: number;
  /** Receives the number of verified chains and an estimate of the total. */
  onProgress?: (done: number, of: number) => void;
};

export type Verification = {
  chains: number;
  events: number;
  faults: ChainFault[];
  /** Faults beyond `maxFaults`. */
  omitted: number;
};

/** @throws {Error} when there is no tenant with that slug, and never was. */
export async function verifyTrail(
  control: Db,
  options: VerificationOptions,
): Promise<Verification> {
  const found: Verification = { chains: 0, events: 0, faults: [], omitted: 0 };
  const checkpoints = byChain(options.checkpoints);
  const { slug, onProgress = () => {} } = options;
  const expected = slug === null ? await countChains(control) : 1;
  for await (const chains of chainsToVerify(control, options, [...checkpoints.keys()])) {
    for (const state of await readableStates(control, chains, found)) {
      const witnesses = checkpoints.get(state.chain) ?? [];
      await verifyChain(control, state, { found, witnesses, options });
      onProgress(found.chains, Math.max(expected, found.chains));
    }
  }
  return found;
}

/** The states of the chains that can be read; each other chain becomes a fault. */
async function readableStates(
  control: Db,
  chains: string[],
  found: Verification,
): Promise<ChainState[]> {
  try {
    return await readStates(control, chains);
  } catch (error) {
    const reason = await reasonOf(control, error);
    if (chains.length > 1) {
      const all: ChainState[] = [];
      for (const one of chains) all.push(...(await readableStates(control, [one], found)));
      return all;
    }
    const [chain = ''] = chains;
    const message = `${chain}: the end of this chain cannot be read: ${reason}`;
    found.chains += 1;
    found.faults.push({
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

/** The reason of a failed read. Throws when the database is unavailable, because that is no fault. */
async function reasonOf(control: Db, error: unknown): Promise<string> {
  await control`select`;
  return error instanceof Error ? error.message : String(error);
}

type Work = { found: Verification; witnesses: Checkpoint[]; options: VerificationOptions };

async function verifyChain(
  control: Db,
  state: ChainState,
  { found, witnesses, options }: Work,
): Promise<void> {
  const { eventBatchSize, eventBytes, maxFaults } = options;
  // Every tenant has at least its creation; the chain of no tenant may be empty.
  const begun = state.position !== null || state.last !== null || witnesses.length > 0;
  if (!begun && state.chain === tenantlessChain) return;
  const check = new ChainCheck(factsOf(state, witnesses, maxFaults));
  try {
    for await (const events of eventsOf(control, state, { eventBatchSize, eventBytes })) {
      for (const event of events) check.add(event);
      found.events += events.length;
    }
  } catch (error) {
    check.abort(await reasonOf(control, error));
  }
  const { faults, omitted } = check.result();
  found.chains += 1;
  found.faults.push(...faults);
  found.omitted += omitted;
}

function factsOf(
  { chain, tenant, position, hash }: ChainState,
  checkpoints: Checkpoint[],
  maxFaults: number,
): ChainFacts {
  const name = chain === tenantlessChain ? 'events of no tenant' : (tenant ?? chain);
  const head = position === null || hash === null ? null : { position, hash };
  return { chain, tenant: name, head, checkpoints, maxFaults };
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
