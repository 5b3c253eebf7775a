/**
 * The result of the runs of one attack in one setting. The whole server must stop the attack, and so
 * must each of its layers alone, and the attack must breach the control, a server with none of the
 * layers, or it proves nothing.
 */

import type { Attack } from './attack.ts';
import type { LayerName } from './layer.ts';
import type { Setting } from './setting.ts';

/** The outcome of one run. */
export type Outcome = {
  /** The breach, in words; null when the attack was stopped. */
  breach: string | null;
  /** The last answer to the attacker. */
  told: string;
};

export type AttackResult = {
  attack: string;
  setting: Setting;
  /** The layer that alone gives the same answer as the whole server. */
  stoppedBy: LayerName | null;
  /** Other layers that stop the attack when that one is off. */
  behind: readonly LayerName[];
  guarded: Outcome;
  alone: readonly { layer: LayerName; outcome: Outcome }[];
  /** Without any of the layers; null when another setting has the control. */
  control: Outcome | null;
  /** Why the whole run fails; null when all runs ended as expected. */
  fault: string | null;
};

/** Layers that are off. */
export type Without = readonly LayerName[];

/** The runs that an attack needs: on the whole server and, if it has layers, with each alone and without any. */
export function variantsOf(layers: Without): Without[] {
  const alone = layers.map((layer) => layers.filter((other) => other !== layer));
  if (layers.length === 0) return [[]];
  return layers.length === 1 ? [[], layers] : [[], ...alone, layers];
}

export function attackResultOf(
  { name, layers }: Pick<Attack, 'name' | 'layers'>,
  setting: Setting,
  outcomeOf: (without: Without) => Outcome,
): AttackResult {
  const all = layers[setting] ?? [];
  const guarded = outcomeOf([]);
  const control = all.length === 0 ? null : outcomeOf(all);
  const alone = all.map((layer) => ({
    layer,
    outcome: outcomeOf(all.filter((other) => other !== layer)),
  }));
  const stopper = alone.find(({ outcome }) => outcome.told === guarded.told) ?? alone[0];
  const stoppedBy = stopper?.layer ?? null;
  return {
    attack: name,
    setting,
    stoppedBy,
    behind: all.filter((layer) => layer !== stoppedBy),
    guarded,
    alone,
    control,
    fault: faultIn({ guarded, alone, control }),
  };
}

function faultIn({ guarded, alone, control }: Pick<AttackResult, 'guarded' | 'alone' | 'control'>) {
  if (guarded.breach !== null) return `BREACH: ${guarded.breach}`;
  const weak = alone.find(({ outcome }) => outcome.breach !== null);
  if (weak) return `"${weak.layer}" alone does not stop it: ${weak.outcome.breach}`;
  return control?.breach === null ? 'proves nothing: its control was not breached' : null;
}
