/**
 * Runs attacks on servers with and without the layers that stop them. Each combination of setting and
 * layers has one lab, which all its attacks share; a few labs are open at the same time.
 */

import { type Attack, Attempt } from './attack.ts';
import {
  type AttackResult,
  attackResultOf,
  type Outcome,
  variantsOf,
  type Without,
} from './attack_result.ts';
import { breachIn, wordsFor } from './judge.ts';
import { Lab, type LabServers } from './lab.ts';
import type { Setting } from './setting.ts';

/** A lab, and the attacks that are tried in it. */
type Session = { setting: Setting; without: Without; attacks: Attack[] };

export type ExperimentOptions = {
  servers: LabServers;
  attacks: readonly Attack[];
  settings: readonly Setting[];
  concurrentLabs: number;
  /** Called after each lab with the number of labs done and the total. */
  onProgress?: (done: number, all: number) => void;
  /** When aborted, no further lab is opened. */
  signal?: AbortSignal;
};

/** @throws {unknown} the reason of the signal, once the open labs are closed. */
export async function experiment(options: ExperimentOptions): Promise<AttackResult[]> {
  const { servers, attacks, settings, concurrentLabs, signal } = options;
  const sessions = sessionsFor(attacks, settings);
  const outcomes = new Map<string, Outcome>();
  let done = 0;
  const waiting = [...sessions];
  const work = async () => {
    for (let next = waiting.shift(); next && !signal?.aborted; next = waiting.shift()) {
      const { setting, without } = next;
      const found = await outcomesIn(next, servers).catch((error: unknown) => {
        waiting.length = 0;
        throw error;
      });
      for (const [name, outcome] of found) outcomes.set(keyOf(setting, without, name), outcome);
      done += 1;
      options.onProgress?.(done, sessions.length);
    }
  };
  // When one fails, the others' labs are closed before the error is thrown.
  const ends = await Promise.allSettled(Array.from({ length: concurrentLabs }, work));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  signal?.throwIfAborted();
  return attacks.flatMap((attack) =>
    settings
      .filter((setting) => attack.layers[setting])
      .map((setting) =>
        attackResultOf(attack, setting, (without) => {
          return outcomes.get(keyOf(setting, without, attack.name)) ?? neverRun;
        }),
      ),
  );
}

const neverRun: Outcome = { breach: null, told: 'never run' };

/** The guarded labs come first: they have the most attacks. */
function sessionsFor(attacks: readonly Attack[], settings: readonly Setting[]): Session[] {
  const sessions = new Map<string, Session>();
  for (const attack of attacks) {
    for (const setting of settings) {
      const layers = attack.layers[setting];
      for (const without of layers ? variantsOf(layers) : []) {
        const key = keyOf(setting, without);
        const session = sessions.get(key) ?? { setting, without, attacks: [] };
        session.attacks.push(attack);
        sessions.set(key, session);
      }
    }
  }
  return [...sessions.values()].sort((one, other) => other.attacks.length - one.attacks.length);
}

function keyOf(setting: Setting, without: Without, attack = ''): string {
  return [setting, [...without].sort().join('+'), attack].join('|');
}

async function outcomesIn(
  { setting, without, attacks }: Session,
  servers: LabServers,
): Promise<[string, Outcome][]> {
  const lab = await Lab.open(servers, setting, new Set(without));
  try {
    const outcomes: [string, Outcome][] = [];
    for (const attack of attacks) {
      outcomes.push([
        attack.name,
        await tried(attack, lab).catch((cause: unknown) => {
          const lacks = without.join(' and ') || 'nothing';
          throw new Error(`Cannot try "${attack.name}" (${setting}, without ${lacks})`, { cause });
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
