/** Starts the HTTP edge in its own process, and asks it what it holds in memory. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { after } from 'node:test';
import { loader, scriptFile } from '../../bench/node_script.ts';
import type { limits } from './test_server.ts';

export type EdgeOptions = {
  /** The guards that are switched off, as a control. */
  guardsOff?: readonly ('errors' | 'unread' | 'pipelined')[];
  changed?: Partial<typeof limits>;
  heapMegabytes?: number;
};

export type EdgeState = {
  rss: number;
  heapUsed: number;
  cpuMs: number;
  faults: readonly string[];
  connections: number;
  unreadBytes: number;
};

export type EdgeServer = {
  url: string;
  /** Null when the process has ended. */
  state(): Promise<EdgeState | null>;
  /** Its last output, and its exit code or signal. */
  ended(): Promise<string>;
};

/** The limits of `npm start`. */
const defaultHeapMegabytes = 512;

export async function startEdge(options: EdgeOptions = {}): Promise<EdgeServer> {
  const heap = options.heapMegabytes ?? defaultHeapMegabytes;
  const child = fork(scriptFile('test/http/edge_process.ts'), {
    execArgv: [`--max-old-space-size=${heap}`, ...loader],
    env: { ...process.env, EDGE: JSON.stringify(options) },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  after(() => child.kill('SIGKILL'));
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const exited = once(child, 'close').then(([code, signal]) => `${said}${code ?? signal}`);
  const url = await Promise.race([answerOf<string>(child), exited.then(failed)]);
  return {
    url,
    state: () => {
      if (!child.connected) return Promise.resolve(null);
      child.send('state');
      return Promise.race([answerOf<EdgeState>(child), exited.then(() => null)]);
    },
    ended: () => exited,
  };
}

async function answerOf<Answer>(child: ChildProcess): Promise<Answer> {
  const [answer]: Answer[] = await once(child, 'message');
  if (answer === undefined) throw new Error('Cannot read an answer: there is none');
  return answer;
}

function failed(said: string): never {
  throw new Error(`Cannot start the edge: ${said}`);
}
