/**
 * The users of a measurement: load from a process of its own with a higher priority. It stands for other machines,
 * so as little as possible of its own waits for a processor of this one should be measured.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { loader, scriptFile } from '../../bench/node_script.ts';
import type { Timed } from './keep_alive.ts';
import type { PacedLoad } from './paced_load.ts';
import { print } from './table.ts';

export type UserLoad = Omit<PacedLoad, 'isOver'>;

export class Users {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(): Promise<Users> {
    const child = fork(scriptFile('test/measure/users_process.ts'), {
      execArgv: [...loader],
      serialization: 'advanced',
    });
    const users = new Users(child);
    if (!(await users.#next<boolean>())) {
      print('The load has no priority here (root may give it), so its own waits are measured too.');
    }
    return users;
  }

  /**
   * Sends all loads at the same time.
   *
   * @param over ends them when it settles.
   * @returns the results of each load.
   */
  async run(loads: readonly UserLoad[], over?: Promise<unknown>): Promise<Timed[][]> {
    const done = this.#next<Timed[][]>();
    this.#child.send(loads);
    const end = () => void (this.#child.connected && this.#child.send('over'));
    over?.then(end, end);
    return done;
  }

  stop(): void {
    if (this.#child.connected) this.#child.disconnect();
  }

  async #next<Message>(): Promise<Message> {
    const listening = new AbortController();
    const { signal } = listening;
    const gone = once(this.#child, 'exit', { signal }).then(() => {
      throw new Error('Cannot measure: the process of the load has ended');
    });
    try {
      const [message] = await Promise.race([once(this.#child, 'message', { signal }), gone]);
      return message;
    } finally {
      listening.abort();
    }
  }
}
