/** `npm run tenants -- move SLUG --to MODE`: moves a tenant to another mode or server while it is served. */
import type { MoveView } from '../control_plane/moves/move_record.ts';
import { assertServer } from '../control_plane/servers/server_list.ts';
import { isolationModes } from '../isolation/modes.ts';
import type { Slug } from '../kernel/tenant.ts';
import { UsageError } from './arguments.ts';
import { print, printJson, type Work } from './command.ts';
import { Progress } from './progress.ts';

type MoveValues = {
  to?: string | undefined;
  server?: string | null | undefined;
  json?: boolean | undefined;
};

/** @throws {UsageError} without a mode, or for an unknown one. */
export function moveTenant(slug: Slug, { to, server = null, json = false }: MoveValues): Work {
  if (to === undefined) throw new UsageError(`Cannot move "${slug}": --to MODE is missing`);
  if (!isolationModes.some((mode) => mode === to)) {
    throw new UsageError(`Cannot use --to ${to}: expected ${isolationModes.join(', ')}`);
  }
  return async ({ registry, moves, control }) => {
    if (!(await registry.find(slug))) {
      throw new Error(`Cannot move "${slug}": there is no such tenant`);
    }
    const progress = new Progress(process.stderr, () => performance.now());
    if (server !== null) await assertServer(control, server);
    const request = { slug, to, server, requestId: null };
    const { finished } = await moves.begin(request, {
      onRows: (rows, of) => progress.counted(rows, of),
    });
    const move = await finished.finally(() => progress.end());
    if (json) printJson(move);
    else print(summaryOf(slug, move));
    return 0;
  };
}

function summaryOf(slug: Slug, move: MoveView): string {
  const seconds = (Date.parse(move.ended_at ?? '') - Date.parse(move.started_at)) / 1_000;
  const pauseMs = Math.round(move.pause_ms ?? 0);
  const to = move.server === null ? move.to : `${move.to} on ${move.server}`;
  const moved = `${slug} moved from ${move.from} to ${to}: ${move.rows} rows`;
  const waited = `writes waited ${pauseMs} ms at most`;
  if (move.state === 'done') return `${moved} in ${seconds.toFixed(1)} s; ${waited}`;
  return `${moved}; ${waited}; a running server removes its old place within a minute`;
}
