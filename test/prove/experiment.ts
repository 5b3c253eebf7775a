/**
 * Runs attacks on servers with and without the layers that stop them. Each combination of mode and
 * layers has one lab, which all its attacks share; a few labs are open at the same time.
 */
import type { IsolationModeName } from '../../src/isolation/modes.ts';
import { type Attack, Attempt } from './attack.ts';
import {
  type AttackResult,
  attackResultOf,
  type Outcome,
  variantsOf,
  type Without,
} from './attack_result.ts';
import { breachIn, wordsFor } from './judge.ts';
import { Lab } from './lab.ts';

/** A lab, and the attacks that are tried in it. */
type Session = { mode: IsolationModeName; without: Without; attacks: Attack[] };

export type ExperimentOptions = {
  /** The superuser's URL of a Postgres. */
  cluster: string;
  attacks: readonly Attack[];
  modes: readonly IsolationModeName[];
  labsAtOnce: number;
  /** Called after each lab with the number of labs done and the total. */
  onProgress?: (done: number, all: number) => void;
  /** When aborted, no further lab is opened. */
  signal?: AbortSignal;
};

/** @throws {unknown} the reason of the signal, once the open labs are closed. */
export async function experiment(options: ExperimentOptions): Promise<AttackResult[]> {
  const { cluster, attacks, modes, labsAtOnce, signal } = options;
  const sessions = sessionsFor(attacks, modes);
  const outcomes = new Map<string, Outcome>();
  let done = 0;
  const waiting = [...sessions];
  const work = async () => {
    for (let next = waiting.shift(); next && !signal?.aborted; next = waiting.shift()) {
      const { mode, without } = next;
      const found = await outcomesIn(next, cluster).catch((error: unknown) => {
        waiting.length = 0;
        throw error;
      });
      for (const [name, outcome] of found) outcomes.set(keyOf(mode, without, name), outcome);
      done += 1;
      options.onProgress?.(done, sessions.length);
    }
  };
  // When one fails, the others' labs are closed before the error is thrown.
  const ends = await Promise.allSettled(Array.from({ length: labsAtOnce }, work));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  signal?.throwIfAborted();
  return attacks.flatMap((attack) =>
    modes
      .filter((mode) => attack.layers[mode])
      .map((mode) =>
        attackResultOf(attack, mode, (without) => {
          return outcomes.get(keyOf(mode, without, attack.name)) ?? neverRun;
        }),
      ),
  );
}

const neverRun: Outcome = { breach: null, told: 'never run' };

/** The guarded labs come first: they have the most attacks. */
function sessionsFor(attacks: readonly Attack[], modes: readonly IsolationModeName[]): Session[] {
  const sessions = new Map<string, Session>();
  for (const attack of attacks) {
    for (const mode of modes) {
      for (const without of attack.layers[mode] ? variantsOf(attack.layers[mode]) : []) {
        const key = keyOf(mode, without);
        const session = sessions.get(key) ?? { mode, without, attacks: [] };
        session.attacks.push(attack);
        sessions.set(key, session);
      }
    }
  }
  return [...sessions.values()].sort((one, other) => other.attacks.length - one.attacks.length);
}

function keyOf(mode: IsolationModeName, without: Without, attack = ''): string {
  return [mode, [...without].sort().join('+'), attack].join('|');
}

async function outcomesIn(
  { mode, without, attacks }: Session,
  cluster: string,
): Promise<[string, Outcome][]> {
  const lab = await Lab.open(cluster, mode, new Set(without));
  try {
    const outcomes: [string, Outcome][] = [];
    for (const attack of attacks) {
      outcomes.push([
        attack.name,
        await tried(attack, lab).catch((cause: unknown) => {
          const lacks = without.join(' and ') || 'nothing';
          throw new Error(`Cannot try "${attack.name}" (${mode}, without ${lacks})`, { cause });
        }),
      ]);
    }
    return outcomes;
  } finally {
    await lab.close();
  }
}

/** On a busy machine the victim's transaction may wait for longer than the server allows. */
function tried(attack: Attack, lab: Lab): Promise<Outcome> {
  return attempt(attack, lab).catch(() => attempt(attack, lab));
}

/** One attack in one lab, judged by its evidence. */
export async function attempt(attack: Pick<Attack, 'run'>, lab: Lab): Promise<Outcome> {
  await lab.renewVictim();
  const before = await lab.victimRows();
  const run = new Attempt(lab);
  await attack.run(run);
  const after = await lab.victimRows();
  const { answers, shownToVictim, pairs } = run;
  const breach = breachIn({ answers, shownToVictim, pairs, before, after }, lab);
  const last = answers.at(-1);
  return { breach, told: last ? wordsFor(last) : 'nothing' };
}
