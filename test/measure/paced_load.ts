/**
 * Load at its own pace, as from users: a slow answer delays no later request, and the waiting time
 * of a request for a free connection counts from the moment it was due.
 */
import { KeepAlive, type Timed } from './keep_alive.ts';

export type PacedLoad = {
  url: string;
  /** Sent in turn. */
  requests: readonly string[];
  perSecond: number;
  seconds: number;
  /** Ends the load before that, so that one which accompanies other work opens its connections once. */
  isOver?: () => boolean;
  /** The most connections that are opened; a request that finds none free waits for one. */
  connections: number;
};

/** The result of every request, once all are answered. */
export async function runPaced(load: PacedLoad): Promise<Timed[]> {
  const { perSecond, seconds, isOver = () => false } = load;
  const run = new PacedRun(load);
  const startedAt = performance.now();
  let total = Math.round(perSecond * seconds);
  let sent = 0;
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const nowMs = performance.now();
      if (isOver()) total = sent;
      const wanted = Math.floor(((nowMs - startedAt) / 1_000) * perSecond);
      for (; sent < Math.min(total, wanted); sent += 1) run.send(nowMs);
      if (run.done.length < total) return;
      clearInterval(timer);
      resolve();
    }, 1);
  });
  run.close();
  return run.done;
}

type Due = { bytes: string; atMs: number };

/** Opens a connection when a request finds none free: the server would close an idle one. */
class PacedRun {
  readonly done: Timed[] = [];
  readonly #load: PacedLoad;
  readonly #free: KeepAlive[] = [];
  readonly #due: Due[] = [];
  #running = 0;
  #sent = 0;

  constructor(load: PacedLoad) {
    this.#load = load;
  }

  send(atMs: number): void {
    const { requests, connections } = this.#load;
    const due = { bytes: requests[this.#sent % requests.length] ?? '', atMs };
    this.#sent += 1;
    if (this.#running < connections) void this.#serve(due);
    else this.#due.push(due);
  }

  close(): void {
    for (const client of this.#free) client.close();
  }

  async #serve({ bytes, atMs }: Due): Promise<void> {
    this.#running += 1;
    const { status } = await this.#ask(bytes).catch(() => ({ status: 0 }));
    this.#running -= 1;
    this.done.push({ status, ms: performance.now() - atMs });
    const next = this.#due.shift();
    if (next) await this.#serve(next);
  }

  async #ask(bytes: string): Promise<Timed> {
    const kept = this.#free.pop();
    const client = kept?.open ? kept : await KeepAlive.open(this.#load.url);
    const answer = await client.ask(bytes);
    this.#free.push(client);
    return answer;
  }
}

/** As many requests as this many connections can send one after the other. */
export async function runClosed({
  url,
  requests,
  seconds,
  connections,
}: Omit<PacedLoad, 'perSecond' | 'isOver'>) {
  const clients = await openAll(url, connections);
  const done: Timed[] = [];
  const endsAt = performance.now() + seconds * 1_000;
  const runOn = async (client: KeepAlive, index: number) => {
    for (let turn = index; performance.now() < endsAt; turn += 1) {
      done.push(await client.ask(requests[turn % requests.length] ?? ''));
    }
    client.close();
  };
  await Promise.all(clients.map(runOn));
  return done;
}

function openAll(url: string, connections: number): Promise<KeepAlive[]> {
  return Promise.all(Array.from({ length: connections }, () => KeepAlive.open(url)));
}
