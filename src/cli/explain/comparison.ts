/** Sends one request to a tenant of each mode, and returns how each was answered. */
import type { Explanation } from '../../explain/explanation.ts';
import { Progress } from '../progress.ts';
import type { Sent } from './client.ts';
import { foreignReaders, type Reader } from './foreign_readers.ts';
import type { OwnKennel, Pair } from './own_kennel.ts';

/** The same request in the three modes. This is the document of `--json`. */
export type Comparison = {
  request: string;
  modes: {
    mode: string;
    explanation: Explanation;
    /** The body of the reply. */
    reply: string;
    /** Empty when the request was refused: then no foreign one could reach a row. */
    foreign_readers: Reader[];
  }[];
};

/** Requests before the explained one. */
export const warmUps = 100;

/** Explained requests that only read; the one with the median time is shown. */
export const samples = 25;

export async function compare(
  kennel: OwnKennel,
  pairs: readonly Pair[],
  { request, broken = false }: { request: Sent; broken?: boolean | undefined },
): Promise<Comparison> {
  const progress = new Progress(process.stderr, () => performance.now());
  const requests = pairs.map((pair) => ({
    pair,
    answers: [] as Answer[],
    sent: async () => withPet(request, await petFor(kennel, pair, request)),
  }));
  const rounds = request.method === 'GET' ? samples : 1;
  const steps = pairs.length * (1 + rounds + 1);
  let done = 0;
  const step = () => progress.counted(done++, steps);
  for (const { pair } of requests) {
    step();
    await warmUp(kennel, pair, request);
  }
  // The modes take turns, so that a slow moment of the machine does not look like a slow mode.
  for (let round = 0; round < rounds; round += 1) {
    for (const { pair, answers, sent } of requests) {
      step();
      const { slug, apiKey } = pair.tenant;
      answers.push(await kennel.explain(slug, apiKey, await sent()));
    }
  }
  const modes: Comparison['modes'] = [];
  for (const { pair, answers, sent } of requests) {
    step();
    const { explanation, text } = median(answers);
    const isRefused = explanation.status >= 400;
    const readers = isRefused ? [] : await foreignReaders(kennel, pair, { sent, broken });
    modes.push({ mode: pair.mode, explanation, reply: text, foreign_readers: readers });
  }
  step();
  progress.end();
  return { request: `${request.method} ${request.path}`, modes };
}

type Answer = { explanation: Explanation; text: string };

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

function median(answers: Answer[]): Answer {
  const sorted = answers.sort((a, b) => a.explanation.total_ms - b.explanation.total_ms);
  const middle = sorted[Math.floor(sorted.length / 2)];
  if (!middle) throw new Error('Cannot compare: there is no explanation');
  return middle;
}
