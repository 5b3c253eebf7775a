/** Lets the doctor examine the command's own Kennel while a guard of it is off. */
import { examine } from '../../control_plane/doctor/doctor.ts';
import type { Finding } from '../../control_plane/doctor/finding.ts';
import { limits } from '../../limits.ts';
import type { OwnKennel } from './own_kennel.ts';

/** Takes the policies off a table that all tenants of shared mode use. */
export const withoutRowSecurity = 'alter table shared.pets disable row level security';

/** Restores them. */
export const withRowSecurity = 'alter table shared.pets enable row level security';

/** Returns the finding for a shared table without row security. */
export function findingWithout(kennel: OwnKennel): Promise<Finding> {
  const { services } = kennel.careless;
  return kennel.asAdmin(services.fleet.installation.database, async (admin) => {
    await admin.script(withoutRowSecurity);
    try {
      const findings = await examine(services, limits.doctor);
      const found = findings.find(({ fix }) => fix?.includes('row level security'));
      if (!found) throw new Error('Cannot show a finding: the doctor has none');
      return found;
    } finally {
      await admin.script(withRowSecurity);
    }
  });
}
