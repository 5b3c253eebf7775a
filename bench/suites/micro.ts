/** Times the router and the token bucket alone, without a server. */

import { Router } from '../../src/http/router.ts';
import { type Bucket, takeToken } from '../../src/kernel/token_bucket.ts';
import { limits } from '../../src/limits.ts';
import { configRoutes } from '../../src/routes/config.ts';
import { meRoutes } from '../../src/routes/me.ts';
import { petRoutes } from '../../src/routes/pets.ts';
import { visitRoutes } from '../../src/routes/visits.ts';
import type { PartResult } from '../result.ts';
import { figureOf } from '../statistics.ts';

const callsPerRound = 200_000;

const id = '0199d8b5-8f2e-7c3a-9a51-3f1c2b4d5e6f';
const paths = ['/api/me', '/api/pets', `/api/pets/${id}`, `/api/pets/${id}/visits`, '/api/none'];

export function timeParts(rounds: number): PartResult[] {
  const parts = { router: routing(), 'token bucket': drawing() };
  return Object.entries(parts).map(([name, call]) => {
    // Warms up the JIT compiler.
    nsPerCall(call);
    const values = Array.from({ length: rounds }, () => nsPerCall(call));
    return { name, nsPerCall: figureOf(values) };
  });
}

function nsPerCall(call: (at: number) => void): number {
  const startedAt = performance.now();
  for (let at = 0; at < callsPerRound; at += 1) call(at);
  return ((performance.now() - startedAt) * 1_000_000) / callsPerRound;
}

function routing(): (at: number) => void {
  const routes = [...meRoutes, ...petRoutes, ...visitRoutes, ...configRoutes];
  const router = new Router(routes, limits.http);
  const request = {
    method: 'GET',
    path: '',
    preconditions: null,
    hasBody: false,
    query: '',
    body: async () => null,
  };
  return (at) => void router.match(request, paths[at % paths.length] ?? '');
}

function drawing(): (at: number) => void {
  const plan = { name: 'bench', requestsPerHour: 100_000, burst: 100_000 };
  let bucket: Bucket | null = null;
  return (at) => {
    ({ bucket } = takeToken(bucket, plan, at));
  };
}
