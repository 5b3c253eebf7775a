import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openHoles } from '../../../src/control_plane/doctor/server.ts';

describe('openHoles()', () => {
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
    it(`knows ${holes.length} in ${version}`, () => {
      assert.deepEqual(openHoles(version), holes);
    });
  }
});
