/**
 * Plays one script on all participants at once and compares their answers. The calls go on while the tenants move,
 * as far as no event gets into the trail or is read there: a tenant's move is an event, too.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Script, Step } from './calls.ts';
import type { Labels } from './labels.ts';
import type { Participant } from './participant.ts';
import { narrowed, type ScriptReply } from './response.ts';

/** The servers must agree in everything, and with the model in all that the model states. */
export type Participants = { servers: readonly Participant[]; model: Participant };

/** The participants gave different answers to the last call; the message is the script. */
export class Difference extends Error {
  override readonly name = 'Difference';
  /** One per call, in the contract's own notation. */
  readonly lines: readonly string[];

  constructor(lines: readonly string[], answers: readonly string[]) {
    const script = lines.map((line) => `  ${line}`);
    const shown = answers.map((answer) => `    ${answer}`);
    super(['The answers to the last call differ:', ...script, ...shown].join('\n'));
    this.lines = lines;
  }
}

/** A call in the contract's own notation, and its answer's status. */
export type Played = { line: string; status: number };

/**
 * Plays the script to its end, and returns when the last move has ended.
 *
 * @throws {Difference} at the first call with different answers.
 */
export async function play(script: Script, participants: Participants): Promise<Played[]> {
  const moves: Promise<unknown>[] = [];
  try {
    return await playBeside(moves, script, participants);
  } finally {
    await Promise.all(moves);
  }
}

async function playBeside(
  moves: Promise<unknown>[],
  script: Script,
  participants: Participants,
): Promise<Played[]> {
  const compare = comparison(participants);
  const played: Played[] = [];
  for (const step of script) {
    if (!isBesideMoves(step)) await Promise.all(moves.splice(0));
    const shown = participants.model.show(step);
    const taken = Promise.all(
      [participants.model, ...participants.servers].map((participant) => participant.take(step)),
    );
    if (isMove(step)) {
      // A failure is noticed when the move is awaited.
      taken.catch(() => {});
      moves.push(taken);
      played.push({ line: shown, status: 200 });
      continue;
    }
    const [expected, ...said] = await taken;
    if (!expected) throw new Error('Cannot play a script: there is no model');
    const answers = compare(expected, said);
    if (answers.length > 0) {
      const lines = [...played.map(({ line }) => line), `${shown} → different answers`];
      throw new Difference(lines, answers);
    }
    played.push({ line: `${shown} → ${expected.status}`, status: expected.status });
  }
  return played;
}

export function isMove(step: Step): boolean {
  return 'errand' in step && step.errand === 'move';
}

/** Whether a step neither reads the trail nor adds to it. */
function isBesideMoves(step: Step): boolean {
  return 'line' in step && step.line.includes(' /api/pets');
}

/** Compares the answers to one call after the other, and returns them in words if they differ. */
function comparison({ servers, model }: Participants) {
  const labels = servers.map((server) => server.labels());
  // A second set of ordinals: values that only the servers return must not be counted.
  const narrowedLabels = servers.map((server) => server.labels());
  const modelLabels = model.labels();
  return (expected: ScriptReply, said: readonly ScriptReply[]): string[] => {
    const full = labelled(labels, said);
    const narrow = labelled(
      narrowedLabels,
      said.map((one) => narrowed(one, expected)),
    );
    const wanted = modelLabels.of(expected);
    if (allEqual(full) && allEqual([wanted, ...narrow])) return [];
    const shown = allEqual(full) ? narrow : full;
    return [model, ...servers].map(
      ({ name }, at) => `${name}: ${JSON.stringify([wanted, ...shown][at])}`,
    );
  };
}

function labelled(labels: readonly Labels[], values: readonly unknown[]): unknown[] {
  return labels.map((each, at) => each.of(values[at]));
}

function allEqual(values: readonly unknown[]): boolean {
  return values.every((value) => isDeepStrictEqual(value, values[0]));
}
