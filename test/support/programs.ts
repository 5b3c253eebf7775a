/**
 * External programs that some suites need. The one rule for a missing one is here: the suite is
 * skipped by name, and fails under `CI=true`.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { connect, createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { it } from 'node:test';

// Folders of servers, which an ordinary user's path on Debian does not contain.
const serverFolders = ['/usr/sbin', '/usr/local/sbin'];

/** The path of the first of these programs that is installed. */
export function findProgram(...names: readonly string[]): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...serverFolders];
  const paths = names.flatMap((name) => folders.map((folder) => join(folder, name)));
  return paths.find(isExecutable);
}

/** Says by name which suite is not run, and why. */
export function reportMissing(name: string, reason: string): void {
  if (process.env.CI === 'true') it(name, () => assert.fail(`Cannot run "${name}": ${reason}`));
  else it(name, { skip: reason });
}

/** Below the ports that Linux and macOS give to clients: those may take a free port at any moment. */
const ownPorts = { from: 15_000, to: 32_000 };

/** A port of 127.0.0.1 that is free, and that no client of this machine gets by itself. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(ownPorts.from, ownPorts.to);
    if (await isFree(port)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1');
  const free = await once(server, 'listening').then(
    () => true,
    () => false,
  );
  if (free) await new Promise((closed) => server.close(closed));
  return free;
}

/** Whether a server listens on a port of 127.0.0.1. */
export function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
