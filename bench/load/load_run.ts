/** A storm: autocannon, with its connections dealt the requests like cards. */
import { EventEmitter, once } from 'node:events';
import autocannon from 'autocannon';
import { limits } from '../limits.ts';
import type { LoadRequest, Outcome, Storm } from './messages.ts';
import { Tally } from './tally.ts';

/** `onWindow` is told when the counting begins and when it ends. */
export async function storm(
  { url, connections, warmupMs, measureMs, timeoutMs, requests }: Storm,
  onWindow: (event: 'opens' | 'closes') => void,
): Promise<Outcome> {
  const tally = new Tally();
  let dealt = 0;
  let counting = true;
  const ended = new EventEmitter();
  const running = autocannon(
    {
      url,
      connections,
      timeout: timeoutMs / 1_000,
      // We end it; this is for the case that we cannot.
      duration: (warmupMs + measureMs + timeoutMs) / 1_000 + 5,
      sampleInt: limits.sampleEveryMs,
      setupClient: (client) => {
        client.setRequests(deal(requests, dealt, connections));
        dealt += 1;
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

/** Each connection's own cards; when there are more connections than cards, some share theirs. */
function deal(requests: readonly LoadRequest[], hand: number, hands: number): LoadRequest[] {
  const cards = requests.filter((_, at) => at % hands === hand % hands);
  return cards.length > 0 ? cards : requests.slice(0, 1);
}

function after(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
