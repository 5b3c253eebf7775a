/** `npm run doctor -- verify-audit [--tenant SLUG]`: is the audit trail what was once written? */

import { verifyTrail } from '../control_plane/audit/verify.ts';
import { limits } from '../limits.ts';
import type { Services } from '../services.ts';
import { print, printJson } from './command.ts';

/**
 * A line for each finding, and a summary. Exit code 1 on any finding; a trail without one is
 * written down in the checkpoints.
 */
export async function verifyAudit(
  { control, checkpoints }: Pick<Services, 'control' | 'checkpoints'>,
  { slug, json }: { slug: string | null; json: boolean },
): Promise<number> {
  // Before the trail, which may grow meanwhile: a checkpoint must not be ahead of what was read.
  const witnesses = await checkpoints.read();
  const { chains, events, findings, omitted } = await verifyTrail(control, {
    ...limits.verification,
    slug,
    checkpoints: witnesses,
  });
  const count = findings.length + omitted;
  if (json) {
    printJson({ chains, events, checkpoints: witnesses.length, findings, unnamed: omitted });
  } else {
    for (const { kind, message } of findings) print(`${kind}: ${message}`);
    if (omitted > 0) print(`and ${omitted} more`);
    print(
      `${events} events in ${chains} chains, ${witnesses.length} checkpoints, ${count} findings`,
    );
  }
  if (count > 0) return 1;
  await checkpoints
    .save()
    .catch((error: unknown) => process.stderr.write(`No new checkpoints: ${error}\n`));
  return 0;
}
