/**
 * Backends that neither a timeout, nor a closed socket, nor pg_terminate_backend ends, as within one
 * long call of a C function: their processes are stopped. All signals to one take effect when it is
 * resumed.
 *
 * The server must be one that this process may signal, on this machine, and no other test may need
 * it meanwhile: `drop database` waits for every backend.
 */
import { lookInto } from './sql.ts';
import { until } from './until.ts';

/** The function that a statement must call to be found. */
export const sleep = 'pg_sleep(600)';

export class StoppedBackends {
  readonly #url: string;
  readonly #pids = new Set<number>();

  /** @param url the superuser's, of the database where the statements run. */
  constructor(url: string) {
    this.#url = url;
  }

  /** Waits until one more backend is within `pg_sleep`, and stops it. */
  async stopNext(): Promise<void> {
    await until(async () => {
      const [pid] = (await this.#sleeping()).filter((each) => !this.#pids.has(each));
      if (pid === undefined) return false;
      process.kill(pid, 'SIGSTOP');
      this.#pids.add(pid);
      return true;
    });
  }

  resumeAll(): void {
    for (const pid of this.#pids) process.kill(pid, 'SIGCONT');
    this.#pids.clear();
  }

  #sleeping(): Promise<number[]> {
    return lookInto(this.#url, async (sql) => {
      const rows = await sql<{ pid: number }[]>`
        select pid from pg_stat_activity
        where datname = current_database() and wait_event = 'PgSleep'`;
      return rows.map(({ pid }) => pid);
    });
  }
}
