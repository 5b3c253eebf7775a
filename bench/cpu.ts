/**
 * CPU time and memory of the server under load and of Postgres, read from `/proc`. Without it (macOS, a
 * database on another machine) the functions return null.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';

/** `getconf CLK_TCK`, which is 100 on every known Linux. */
const ticksPerSecond = 100;

const usPerTick = 1_000_000 / ticksPerSecond;

/** Returns the CPU time of a process in microseconds, or null. */
export function cpuUsOf(pid: number): number | null {
  const fields = statOf(pid);
  return fields ? fields.own * usPerTick : null;
}

/** The same for a Postgres: the postmaster, its children, and children that have ended. */
export function cpuUsOfPostgres(postmaster: number | null): number | null {
  const head = postmaster === null ? null : statOf(postmaster);
  if (!head || postmaster === null) return null;
  const ticks = childrenOf(postmaster).map(({ own }) => own);
  return ticks.reduce((sum, one) => sum + one, head.own + head.reaped) * usPerTick;
}

/** Returns the CPU time of the whole machine in microseconds: busy, and with idle time. */
export function cpuUsOfMachine(): { busy: number; all: number } {
  let [busy, all] = [0, 0];
  for (const { times } of cpus()) {
    const working = times.user + times.nice + times.sys + times.irq;
    busy += working * 1_000;
    all += (working + times.idle) * 1_000;
  }
  return { busy, all };
}

/** Returns the private memory of a process in bytes, or null. */
export function privateBytesOf(pid: number): number | null {
  const text = read(`/proc/${pid}/status`);
  const [, kib] = /^RssAnon:\s+(\d+) kB$/m.exec(text ?? '') ?? [];
  return kib === undefined ? null : Number(kib) * 1_024;
}

type Stat = { parent: number; own: number; reaped: number };

/** Times in ticks. See proc(5): ppid is field 4; utime, stime, cutime and cstime are 14 to 17. */
function statOf(pid: number): Stat | null {
  const text = read(`/proc/${pid}/stat`);
  if (text === null) return null;
  // The program's name in the second field may have spaces and parentheses.
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const [, parent = 0] = fields;
  const [utime = 0, stime = 0, cutime = 0, cstime = 0] = fields.slice(11, 15);
  return { parent, own: utime + stime, reaped: cutime + cstime };
}

function childrenOf(parent: number): Stat[] {
  const pids = readdirSync('/proc').map(Number).filter(Boolean);
  return pids.map(statOf).filter((stat): stat is Stat => stat?.parent === parent);
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
