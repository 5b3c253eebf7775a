/**
 * Load in an open loop: requests on a schedule. A request's time counts from its scheduled start. So a
 * server that stops for a while is also charged for the requests that were sent late (G. Tene's
 * "coordinated omission").
 */
import { setTimeout as pause } from 'node:timers/promises';
import { Client } from './client.ts';
import type { LoadRequest, Outcome, Pace, Sweep } from './messages.ts';
import { Tally } from './tally.ts';

/** The resolution of the schedule: requests of one tick are sent together. */
const tickMs = 2;

export async function pace(job: Pace): Promise<Outcome> {
  const { url, requests, perSecond, measureMs, timeoutMs } = job;
  const client = new Client(url, timeoutMs);
  const tally = new Tally();
  const inFlight = new Set<Promise<void>>();
  const startedAt = performance.now();
  let sent = 0;
  const sendDue = (nowMs: number) => {
    for (; sent < ((nowMs - startedAt) * perSecond) / 1_000; sent += 1) {
      const request = requests[sent % requests.length];
      if (!request) return;
      const dueAt = startedAt + (sent * 1_000) / perSecond;
      const call = ask(client, request, tally, dueAt).finally(() => inFlight.delete(call));
      inFlight.add(call);
    }
  };
  for (let nowMs = startedAt; nowMs - startedAt < measureMs; nowMs = performance.now()) {
    sendDue(nowMs);
    await pause(tickMs);
  }
  await Promise.all(inFlight);
  client.close();
  return tally.outcome((performance.now() - startedAt) / 1_000);
}

/** Sends each request once, `connections` at a time. */
export async function sweep({ url, requests, connections, timeoutMs }: Sweep): Promise<Outcome> {
  const client = new Client(url, timeoutMs);
  const tally = new Tally();
  const startedAt = performance.now();
  const left = requests.values();
  const work = async () => {
    for (const request of left) await ask(client, request, tally, performance.now());
  };
  await Promise.all(Array.from({ length: connections }, work));
  client.close();
  return tally.outcome((performance.now() - startedAt) / 1_000);
}

async function ask(client: Client, request: LoadRequest, tally: Tally, dueAt: number) {
  try {
    const { status } = await client.send(request);
    tally.answered(status, performance.now() - dueAt);
  } catch (error) {
    tally.fault(error instanceof Error ? error.message : String(error));
  }
}
