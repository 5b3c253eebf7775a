/** Where the two tenants of a lab have their rows. */
import { type IsolationModeName, isolationModes } from '../../src/isolation/modes.ts';

/** In `servers` both are in database mode, and the victim has moved from the main server to a second one. */
export const settings = [...isolationModes, 'servers'] as const;

export type Setting = (typeof settings)[number];

export function modeOf(setting: Setting): IsolationModeName {
  return setting === 'servers' ? 'database' : setting;
}
