/** Sends one request to a tenant of each mode, and returns how each was answered. */
import type { Explanation } from '../../explain/explanation.ts';
import type { Sent } from './client.ts';
import type { OwnKennel, Pair } from './own_kennel.ts';

/** The same request in the three modes. This is the document of `--json`. */
export type Comparison = {
  request: string;
  modes: { mode: string; explanation: Explanation }[];
};

/** Requests before the explained one: they open connections and warm up the code. */
const warmUps = 40;

/** Explained requests that only read; the one with the median time is shown. */
const samples = 9;

export async function compare(
  kennel: OwnKennel,
  pairs: readonly Pair[],
  request: Sent,
): Promise<Comparison> {
  const modes: Comparison['modes'] = [];
  for (const { mode, tenant, petId } of pairs) {
    const { slug, apiKey } = tenant;
    const path = request.path.replace('{id}', petId);
    const reads = request.method === 'GET';
    const warmUp = reads ? { method: 'GET', path } : { method: 'GET', path: `/api/pets/${petId}` };
    for (let sent = 0; sent < warmUps; sent += 1) await kennel.send(slug, apiKey, warmUp);
    const explanations: Explanation[] = [];
    for (let sent = 0; sent < (reads ? samples : 1); sent += 1) {
      explanations.push(await kennel.explain(slug, apiKey, { ...request, path }));
    }
    modes.push({ mode, explanation: median(explanations) });
  }
  return { request: `${request.method} ${request.path}`, modes };
}

function median(explanations: Explanation[]): Explanation {
  const sorted = explanations.sort((a, b) => a.total_ms - b.total_ms);
  const middle = sorted[Math.floor(sorted.length / 2)];
  if (!middle) throw new Error('Cannot compare: there is no explanation');
  return middle;
}
