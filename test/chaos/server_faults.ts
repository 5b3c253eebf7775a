/** Faults of the second server. They take down its own tenants, and no others. */
import { setTimeout as pause } from 'node:timers/promises';
import { limits } from '../../src/limits.ts';
import type { Fault, FaultTargets } from './faults.ts';
import { secondServer } from './whereabouts.ts';

const common = {
  track: 'servers',
  takesMs: 1_500,
  /** A slow machine could not finish a move or a restore between two faults. */
  ready: ({ moving, restoring }: FaultTargets) => Promise.all([moving, restoring]),
} as const;

export const serverFaults = {
  'the second server crashes': {
    ...common,
    lastsMs: [0, 1_000],
    begin: (targets) => bringDown(targets, 'crash'),
  },
  'the second server restarts': {
    ...common,
    lastsMs: [0, 1_000],
    begin: (targets) => bringDown(targets, 'fast'),
  },
  'the second server refuses connections': {
    ...common,
    lastsMs: [300, 3_000],
    begin: async ({ second }) => {
      await second.proxy.cutOff();
      return () => comeBack(second);
    },
  },
  'the second server hangs': {
    ...common,
    lastsMs: [300, 6_000],
    begin: async ({ second }) => {
      second.proxy.hang();
      return () => comeBack(second);
    },
  },
} satisfies Record<string, Fault>;

async function bringDown({ second, onDown }: FaultTargets, how: 'crash' | 'fast') {
  await second.cluster.down(how);
  onDown(secondServer);
  return async () => {
    await second.cluster.up();
    await comeBack(second);
  };
}

/** Kennel tries a server that it could not reach only after a while. */
async function comeBack({ proxy }: FaultTargets['second']): Promise<void> {
  await proxy.comeBack();
  await pause(limits.connections.downMs);
}
