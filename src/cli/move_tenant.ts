/** `npm run tenants -- move SLUG --to MODE`: moves a tenant to another isolation mode while it is served. */
import type { MoveView } from '../control_plane/moves/move_record.ts';
import { isolationModes } from '../isolation/modes.ts';
import type { Slug } from '../kernel/tenant.ts';
import { UsageError } from './arguments.ts';
import { print, printJson, type Work } from './command.ts';
import { Progress } from './progress.ts';

/** @throws {UsageError} without a mode, or for an unknown one. */
export function moveTenant(
  slug: Slug,
  { to, json = false }: { to?: string | undefined; json?: boolean | undefined },
): Work {
  if (to === undefined) throw new UsageError(`Cannot move "${slug}": --to MODE is missing`);
  if (!isolationModes.some((mode) => mode === to)) {
    throw new UsageError(`Cannot use --to ${to}: expected ${isolationModes.join(', ')}`);
  }
  return async ({ registry, moves }) => {
    if (!(await registry.find(slug))) {
      throw new Error(`Cannot move "${slug}": there is no such tenant`);
    }
    const progress = new Progress(process.stderr, () => performance.now());
    const request = { slug, to, requestId: null };
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
  return `${slug} moved from ${move.from} to ${move.to}: ${move.rows} rows in ${seconds.toFixed(1)} s; writes waited ${pauseMs} ms at most`;
}
