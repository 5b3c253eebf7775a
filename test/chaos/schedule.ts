/** Which fault begins when: the whole schedule is drawn from the seed before the run begins. */
import { setTimeout as pause } from 'node:timers/promises';
import { seededRandom } from '../support/random.ts';
import { type Fault, type FaultName, type FaultTargets, faults } from './faults.ts';

export type Turn = { atMs: number; fault: FaultName; lastsMs: number; seed: number };

/** Called at the end of a fault. */
export type OnEnded = (fault: FaultName, fromMs: number) => void;

const tracks = [
  'database',
  'servers',
  'redis',
  'clients',
  'moves',
  'restores',
] as const satisfies readonly Fault['track'][];

/** From the end of a fault to the next one of its track: minimum and maximum. */
const gapMs = [100, 500] as const;

/**
 * Each track plays all of its faults in a random order, and again until the time is over; so each
 * fault occurs at least once, even if that takes longer.
 */
export function drawSchedule(seed: number, forMs: number, names: readonly FaultName[]): Turn[] {
  const random = seededRandom(seed);
  const turns = tracks.flatMap((name) => {
    const track = names.filter((fault) => faults[fault].track === name);
    const played: Turn[] = [];
    let atMs = within(gapMs, random);
    while (track.length > 0 && (played.length < track.length || atMs < forMs)) {
      for (const fault of shuffled(track, random)) {
        if (played.length >= track.length && atMs >= forMs) break;
        const lastsMs = within(faults[fault].lastsMs, random);
        played.push({ atMs, fault, lastsMs, seed: Math.floor(random() * 2 ** 32) });
        atMs += lastsMs + faults[fault].takesMs + within(gapMs, random);
      }
    }
    return played;
  });
  return turns.sort((a, b) => a.atMs - b.atMs);
}

/**
 * Plays the schedule to its end, or to the first fault that fails; each fault that has begun is
 * ended.
 */
export async function play(
  schedule: readonly Turn[],
  targets: FaultTargets,
  onEnded: OnEnded,
): Promise<void> {
  const startedMs = performance.now();
  const failed = new AbortController();
  const playTrack = async (track: Fault['track']) => {
    const turns = schedule.filter(({ fault }) => faults[fault].track === track);
    for (const turn of turns) {
      await pause(Math.max(0, startedMs + turn.atMs - performance.now()));
      if (failed.signal.aborted) return;
      await runFault(turn, targets, onEnded);
    }
  };
  const playing = tracks.map((track) =>
    playTrack(track).catch((error: unknown) => {
      failed.abort();
      throw error;
    }),
  );
  await Promise.allSettled(playing);
  await Promise.all(playing);
}

async function runFault({ fault, lastsMs, seed }: Turn, targets: FaultTargets, onEnded: OnEnded) {
  const { ready, begin }: Fault = faults[fault];
  await ready?.(targets);
  const fromMs = performance.now();
  const end = await begin(targets, seededRandom(seed));
  await pause(lastsMs);
  await end();
  onEnded(fault, fromMs);
}

function within([least, most]: readonly [number, number], random: () => number): number {
  return Math.round(least + random() * (most - least));
}

/** Source: R. Durstenfeld, Algorithm 235. */
function shuffled<Item>(items: readonly Item[], random: () => number): Item[] {
  const left = [...items];
  return items.flatMap(() => left.splice(Math.floor(random() * left.length), 1));
}
