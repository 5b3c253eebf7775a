/** Sends one request to a tenant of each mode, and returns how each was answered. */
import type { Explanation } from '../../explain/explanation.ts';
import { Progress } from '../progress.ts';
import type { Sent } from './client.ts';
import { foreignReaders, type Reader } from './foreign_readers.ts';
import type { OwnKennel, Pair } from './own_kennel.ts';

/** The same request in the three modes. This is the document of `--json`. */
export type Comparison = {
  request: string;
  modes: { mode: string; explanation: Explanation; foreign_readers: Reader[] }[];
};

/** Requests before the explained one. */
const warmUps = 100;

/** Explained requests that only read; the one with the median time is shown. */
const samples = 25;

export async function compare(
  kennel: OwnKennel,
  pairs: readonly Pair[],
  { request, broken = false }: { request: Sent; broken?: boolean | undefined },
): Promise<Comparison> {
  const progress = new Progress(process.stderr, () => performance.now());
  const requests = pairs.map((pair) => ({
    pair,
    explanations: [] as Explanation[],
    sent: async () => withPet(request, await petFor(kennel, pair, request)),
  }));
  for (const { pair } of requests) await warmUp(kennel, pair, request);
  const rounds = request.method === 'GET' ? samples : 1;
  // The modes take turns, so that a slow moment of the machine does not look like a slow mode.
  for (let round = 0; round < rounds; round += 1) {
    for (const { pair, explanations, sent } of requests) {
      const { slug, apiKey } = pair.tenant;
      explanations.push((await kennel.explain(slug, apiKey, await sent())).explanation);
    }
  }
  const modes: Comparison['modes'] = [];
  for (const { pair, explanations, sent } of requests) {
    progress.counted(modes.length, pairs.length);
    const readers = await foreignReaders(kennel, pair, { sent, broken });
    modes.push({ mode: pair.mode, explanation: median(explanations), foreign_readers: readers });
  }
  progress.counted(modes.length, pairs.length);
  progress.end();
  return { request: `${request.method} ${request.path}`, modes };
}

/** Opens connections, fills caches, and lets the code be compiled. A request that writes is not repeated. */
async function warmUp(kennel: OwnKennel, pair: Pair, request: Sent): Promise<void> {
  const { slug, apiKey } = pair.tenant;
  const read = request.method === 'GET' ? request : { method: 'GET', path: '/api/pets/{id}' };
  const sent = withPet(read, pair.petId);
  for (let count = 0; count < warmUps; count += 1) await kennel.send(slug, apiKey, sent);
}

/** A request that writes gets a pet that no earlier one has changed. */
function petFor(kennel: OwnKennel, { tenant, petId }: Pair, { method }: Sent): Promise<string> {
  return method === 'GET' ? Promise.resolve(petId) : kennel.addPet(tenant);
}

function withPet(request: Sent, petId: string): Sent {
  return { ...request, path: request.path.replace('{id}', petId) };
}

function median(explanations: Explanation[]): Explanation {
  const sorted = explanations.sort((a, b) => a.total_ms - b.total_ms);
  const middle = sorted[Math.floor(sorted.length / 2)];
  if (!middle) throw new Error('Cannot compare: there is no explanation');
  return middle;
}
