/** Holes of row security that the server itself still has. */
import type { Sql } from '../../kernel/ports.ts';
import type { Examined } from './examined.ts';
import { type Finding, finding } from './finding.ts';

/**
 * Holes in row security, or in who a statement runs as, and the release of each major version that
 * closed them, as `server_version_num`. Source: https://www.postgresql.org/support/security/
 */
const holes: readonly { cve: string; closed: readonly number[] }[] = [
  // Policies of one role applied to another after inlining.
  { cve: 'CVE-2023-2455', closed: [150_003] },
  // MERGE did not ask the policies for update and select.
  { cve: 'CVE-2023-39418', closed: [150_004] },
  // Policies of one role applied to another below a subquery.
  { cve: 'CVE-2024-10976', closed: [150_009, 160_005, 170_001] },
  // `set role` and `reset` could end as another role than they should.
  { cve: 'CVE-2024-10978', closed: [150_009, 160_005, 170_001] },
  // Statistics told of rows that a policy hides.
  { cve: 'CVE-2025-8713', closed: [150_014, 160_010, 170_006] },
];

/** The holes that a server of this `server_version_num` still has. */
export function openHoles(version: number): string[] {
  const major = Math.floor(version / 10_000);
  return holes
    .filter(({ closed }) => {
      const release = closed.find((number) => Math.floor(number / 10_000) === major);
      return release !== undefined && version < release;
    })
    .map(({ cve }) => cve);
}

/** Warns of a server that lacks them. */
export async function examineVersion(sql: Sql, { database }: Examined): Promise<Finding[]> {
  const [server] = await sql<{ number: number; name: string }>`
    select current_setting('server_version_num')::int as number,
      current_setting('server_version') as name`;
  const open = server ? openHoles(server.number) : [];
  if (!server || open.length === 0) return [];
  return [
    finding('server_outdated', {
      database,
      where: `Postgres ${server.name}`,
      what: `Later releases have closed holes in row security: ${open.join(', ')}`,
      fix: null,
    }),
  ];
}
