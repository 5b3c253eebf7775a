import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runChecks } from '../../../src/control_plane/doctor/sql_checks.ts';
import { serverUrl } from '../../support/postgres.ts';
import { lookInto } from '../../support/sql.ts';

describe('server.sql', () => {
  for (const [version, holes] of [
    [
      150_002,
      ['CVE-2023-2455', 'CVE-2023-39418', 'CVE-2024-10976', 'CVE-2024-10978', 'CVE-2025-8713'],
    ],
    [150_013, ['CVE-2025-8713']],
    [160_004, ['CVE-2024-10976', 'CVE-2024-10978', 'CVE-2025-8713']],
    [160_010, []],
    [170_005, ['CVE-2025-8713']],
    [170_006, []],
    [180_000, []],
    [190_000, []],
  ] as const) {
    it(`knows ${holes.length} in ${version}`, async () => {
      const found = await lookInto(await serverUrl(), (sql) =>
        runChecks((text) => sql.unsafe(text.join('')), ['server.sql'], {
          SERVER_VERSION_NUM: `${version}`,
          SERVER_VERSION_NAME: 'x',
        }),
      );
      const named = found.map(({ what }) => what.replace(/^.+: /, ''));
      assert.deepEqual(named, holes.length === 0 ? [] : [holes.join(', ')]);
    });
  }
});
