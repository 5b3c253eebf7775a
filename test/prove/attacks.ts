/** All attacks, in the order in which a request meets the layers that stop them. */
import type { Attack } from './attack.ts';
import { context } from './attacks/context.ts';
import { credentials } from './attacks/credentials.ts';
import { ids } from './attacks/ids.ts';
import { injected } from './attacks/injected.ts';
import { moves } from './attacks/moves.ts';
import { naming } from './attacks/naming.ts';
import { resources } from './attacks/resources.ts';
import { servers } from './attacks/servers.ts';
import { session } from './attacks/session.ts';
import { modeOf, movingSettings } from './setting.ts';

export const attacks: readonly Attack[] = [
  ...naming.map(alsoWhileMoving),
  ...credentials,
  ...ids.map(alsoWhileMoving),
  ...injected,
  ...context.map(alsoWhileMoving),
  ...resources,
  ...servers,
  ...moves,
  ...session,
];

/** Also against a victim that is moved or restored: on the whole server, because the mode has the controls. */
function alsoWhileMoving(attack: Attack): Attack {
  const added = movingSettings.filter((setting) => attack.layers[modeOf(setting)]);
  const guarded = Object.fromEntries(added.map((setting) => [setting, []]));
  return { ...attack, layers: { ...attack.layers, ...guarded } };
}
