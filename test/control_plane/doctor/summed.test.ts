import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Finding } from '../../../src/control_plane/doctor/finding.ts';
import { summed } from '../../../src/control_plane/doctor/summed.ts';

const finding = (check: string, severity: Finding['severity'], database: string): Finding => ({
  ...{ check, severity, database },
  where: `database ${database}`,
  what: 'An injected statement may take locks',
  fix: null,
});

describe('summed()', () => {
  it('tells a warning of many databases once, and of how many', () => {
    const findings = ['kennel', 'kennel_t_a', 'kennel_t_b'].map((database) =>
      finding('advisory_locks_allowed', 'warning', database),
    );
    const other = finding('plpgsql_allowed', 'warning', 'kennel');
    assert.deepEqual(
      summed([...findings, other]).map(({ check, database, more }) => [check, database, more]),
      [
        ['advisory_locks_allowed', 'kennel', 2],
        ['plpgsql_allowed', 'kennel', 0],
      ],
    );
  });

  it('tells each error', () => {
    const findings = ['kennel_t_a', 'kennel_t_b'].map((database) =>
      finding('grant_stray', 'error', database),
    );
    assert.deepEqual(
      summed(findings).map(({ more }) => more),
      [0, 0],
    );
  });
});
