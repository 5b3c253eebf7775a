/** Where the two tenants of a lab have their rows, and what happens to those of the victim meanwhile. */
import { type IsolationModeName, isolationModes } from '../../src/isolation/modes.ts';

/**
 * The settings in which the victim is moved or restored. In `restored` it has moved away and back before; in the
 * others its move or its restore waits at one step for as long as the lab is open.
 */
export const movingSettings = [
  ...(['shared-to-schema', 'schema-to-database', 'database-to-shared'] as const),
  ...(['restoring', 'restored'] as const),
] as const;

/** In `servers` both are in database mode, and the victim has moved from the main server to a second one. */
export const settings = [...isolationModes, 'servers', ...movingSettings] as const;

export type MovingSetting = (typeof movingSettings)[number];

export type Setting = (typeof settings)[number];

/** The mode of the attacker, and of the victim unless it comes from another one. */
const modes: Readonly<Record<Exclude<Setting, IsolationModeName>, IsolationModeName>> = {
  servers: 'database',
  'shared-to-schema': 'shared',
  'schema-to-database': 'schema',
  'database-to-shared': 'shared',
  restoring: 'shared',
  restored: 'shared',
};

export function modeOf(setting: Setting): IsolationModeName {
  return isMode(setting) ? setting : modes[setting];
}

/** The mode that the victim is created in. */
export function firstModeOf(setting: Setting): IsolationModeName {
  return setting === 'database-to-shared' ? 'database' : modeOf(setting);
}

export function isMoving(setting: Setting): setting is MovingSetting {
  return movingSettings.some((one) => one === setting);
}

function isMode(setting: Setting): setting is IsolationModeName {
  return isolationModes.some((one) => one === setting);
}
