/**
 * Backends that neither a timeout, nor a closed socket, nor pg_terminate_backend ends, as within one
 * long call of a C function: their processes are stopped. All signals to one take effect when it is
 * resumed.
 *
 * The server must be one that this process may signal, on this machine, and no other test may need
 * it meanwhile: `drop database` waits for every backend.
 */
import type postgres from 'postgres';
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

  /**
   * Begins a call, waits until its backend is within `pg_sleep`, and stops it. The connection that looks
   * for it is open before the call begins, because the call's own limits may be short.
   *
   * @returns the call in an object, for it has not ended.
   */
  stopIn<Result>(begin: () => Promise<Result>): Promise<{ call: Promise<Result> }> {
    return lookInto(this.#url, async (sql) => {
      await sleeping(sql);
      const call = begin();
      await until(async () => {
        const pid = (await sleeping(sql)).find((each) => !this.#pids.has(each));
        if (pid === undefined) return false;
        process.kill(pid, 'SIGSTOP');
        this.#pids.add(pid);
        return true;
      });
      return { call };
    });
  }

  resumeAll(): void {
    for (const pid of this.#pids) process.kill(pid, 'SIGCONT');
    this.#pids.clear();
  }
}

async function sleeping(sql: postgres.Sql): Promise<number[]> {
  const rows = await sql<{ pid: number }[]>`
    select pid from pg_stat_activity
    where datname = current_database() and wait_event = 'PgSleep'`;
  return rows.map(({ pid }) => pid);
}
