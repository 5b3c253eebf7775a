/** Load in a closed loop, by autocannon. Each connection gets its own part of the requests. */
import { EventEmitter, once } from 'node:events';
import autocannon from 'autocannon';
import { limits } from '../limits.ts';
import type { ClosedLoop, LoadRequest, Outcome } from './messages.ts';
import { Tally } from './tally.ts';

/** Calls `onWindow` when the counting begins and when it ends. */
export async function closedLoop(
  { url, connections, warmupMs, measureMs, timeoutMs, requests }: ClosedLoop,
  onWindow: (event: 'opens' | 'closes') => void,
): Promise<Outcome> {
  const tally = new Tally();
  let started = 0;
  let counting = true;
  const ended = new EventEmitter();
  const running = autocannon(
    {
      url,
      connections,
      timeout: timeoutMs / 1_000,
      // Only a fallback: it is stopped below.
      duration: (warmupMs + measureMs + timeoutMs) / 1_000 + 5,
      sampleInt: limits.sampleEveryMs,
      setupClient: (client) => {
        client.setRequests(partOf(requests, started, connections));
        started += 1;
      },
    },
    () => ended.emit('end'),
  );
  running.on('response', (_client, status, _bytes, ms) => {
    if (counting) tally.answered(status, ms);
  });
  running.on('reqError', (error) => tally.fault(messageOf(error)));
  await after(warmupMs);
  tally.open();
  onWindow('opens');
  const openedAt = performance.now();
  await after(measureMs);
  // A window without an answer measures nothing: on a busy machine it lasts until the first one.
  while (tally.answers === 0 && performance.now() - openedAt < measureMs + timeoutMs) {
    await after(limits.sampleEveryMs);
  }
  counting = false;
  const outcome = tally.outcome((performance.now() - openedAt) / 1_000);
  onWindow('closes');
  const end = once(ended, 'end');
  running.stop();
  await end;
  return outcome;
}

/** Returns a connection's part of the requests. Parts repeat when there are too few requests. */
function partOf(requests: readonly LoadRequest[], index: number, parts: number): LoadRequest[] {
  const own = requests.filter((_, at) => at % parts === index % parts);
  return own.length > 0 ? own : requests.slice(0, 1);
}

function after(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
