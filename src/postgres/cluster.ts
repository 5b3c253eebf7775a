/**
 * A cluster of our own on the disk: made by initdb, started and stopped by pg_ctl. pg_ctl gives the
 * server a session of its own, so a Ctrl-C in the terminal reaches us and not the server.
 */
import { mkdir, mkdtemp, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { basename, dirname, join } from 'node:path';
import type { Binaries } from './binaries.ts';
import { give, type Owner, type Run, runnerFor } from './owner.ts';
import { isAlive } from './postmaster.ts';
import { StartError } from './start_error.ts';

export type ClusterBounds = {
  createMs: number;
  startMs: number;
  /** For a fast stop; half as long again for an immediate one. */
  stopSeconds: number;
  maxConnections: number;
  sharedBuffersMb: number;
  /** A log that has grown past this is put aside at the next start, in place of the last. */
  logBytes: number;
};

export class Cluster {

}
