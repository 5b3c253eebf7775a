/** Sends one request to a tenant of each mode, and returns how each was answered. */
import type { Explanation } from '../../explain/explanation.ts';
import type { Sent } from './client.ts';
import { foreignReaders, type Reader } from './foreign_readers.ts';
import type { OwnKennel, Pair } from './own_kennel.ts';

/** The same request in the three modes. This is the document of `--json`. */
export type Comparison = {
  request: string;
  modes: { mode: string; explanation: Explanation; foreign_readers: Reader[] }[];
};

/** Requests before the explained one: they open connections and warm up the code. */
const warmUps = 40;

/** Explained requests that only read; the one with the median time is shown. */
const samples = 9;

export async function compare(
  kennel: OwnKennel,
  request: Sent,
  { broken = false }: { broken?: boolean | undefined },
): Promise<Comparison> {
  const modes: Comparison['modes'] = [];
  for (const pair of await kennel.pairs()) {
    const sent = async () => withPet(request, await petFor(kennel, pair, request));
    const explanation = await typical(kennel, pair, sent);
    const readers = await foreignReaders(kennel, pair, { sent, broken });
    modes.push({ mode: pair.mode, explanation, foreign_readers: readers });
  }
  return { request: `${request.method} ${request.path}`, modes };
}

/** A request that writes gets a pet that no earlier one has changed. */
function petFor(kennel: OwnKennel, { tenant, petId }: Pair, { method }: Sent): Promise<string> {
  return method === 'GET' ? Promise.resolve(petId) : kennel.addPet(tenant);
}

function withPet(request: Sent, petId: string): Sent {
  return { ...request, path: request.path.replace('{id}', petId) };
}

async function typical(
  kennel: OwnKennel,
  pair: Pair,
  sent: () => Promise<Sent>,
): Promise<Explanation> {
  const { slug, apiKey } = pair.tenant;
  const { method, path } = await sent();
  const reads = method === 'GET';
  const warmUp = { method: 'GET', path: reads ? path : `/api/pets/${pair.petId}` };
  for (let count = 0; count < warmUps; count += 1) await kennel.send(slug, apiKey, warmUp);
  const explanations: Explanation[] = [];
  for (let count = 0; count < (reads ? samples : 1); count += 1) {
    explanations.push((await kennel.explain(slug, apiKey, await sent())).explanation);
  }
  return median(explanations);
}

function median(explanations: Explanation[]): Explanation {
  const sorted = explanations.sort((a, b) => a.total_ms - b.total_ms);
  const middle = sorted[Math.floor(sorted.length / 2)];
  if (!middle) throw new Error('Cannot compare: there is no explanation');
  return middle;
}
