/** `npm run doctor -- verify-audit [--tenant SLUG]`: checks that the audit trail was not falsified. */

import { verifyTrail } from '../control_plane/audit/verify.ts';
import { limits } from '../limits.ts';
import type { Services } from '../services.ts';
import { print, printJson } from './command.ts';
import { withProgress } from './progress.ts';

/**
 * Prints a line for each finding, and a summary. Returns exit code 1 for any finding. Without findings,
 * new checkpoints are saved.
 */
export async function verifyAudit(
  { control, checkpoints }: Pick<Services, 'control' | 'checkpoints'>,
  { slug, json }: { slug: string | null; json: boolean },
): Promise<number> {
  // Read before the trail, which may grow meanwhile: no checkpoint may be newer than the events read.
  const saved = await checkpoints.read();
  const { chains, events, faults, omitted } = await withProgress((onProgress) =>
    verifyTrail(control, { ...limits.verification, slug, checkpoints: saved, onProgress }),
  );
  const count = faults.length + omitted;
  if (json)
    printJson({ chains, events, checkpoints: saved.length, findings: faults, unnamed: omitted });
  else {
    for (const { kind, message } of faults) print(`${kind}: ${message}`);
    if (omitted > 0) print(`and ${omitted} more`);
    print(`${events} events in ${chains} chains, ${saved.length} checkpoints, ${count} findings`);
  }
  if (count > 0) return 1;
  await checkpoints
    .save()
    .catch((error: unknown) => process.stderr.write(`Cannot save new checkpoints: ${error}\n`));
  return 0;
}
