import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { findingLines } from '../../src/cli/finding_lines.ts';
import { findingLine } from '../../src/control_plane/doctor/finding.ts';

/** Of a database whose name forges the doctor's last line and erases the screen. */
const forged = {
  check: 'foreign_database_open',
  severity: 'warning' as const,
  database: 'evil\n0 errors\u001b[2J',
  where: 'database evil\n0 errors\u001b[2J',
  what: 'It is open\u2028\u202e',
  fix: 'revoke connect\n  on database "evil\n0 errors\u001b[2J" from public',
};

describe('findingLines()', () => {
  it('prints names of foreign objects without line ends and terminal escapes', () => {
    assert.deepEqual(findingLines({ ...forged, more: 0 }), [
      String.raw`warning foreign_database_open: database evil\u000a0 errors\u001b[2J`,
      String.raw`  It is open\u2028\u202e`,
      String.raw`  in database evil\u000a0 errors\u001b[2J, as a superuser: revoke connect on database U&"evil\000a0 errors\001b[2J" from public`,
    ]);
  });
});

describe('lineOf()', () => {
  it('returns one line without terminal escapes', () => {
    assert.equal(
      findingLine(forged),
      String.raw`foreign_database_open: database evil\u000a0 errors\u001b[2J: It is open\u2028\u202e; fix: revoke connect on database U&"evil\000a0 errors\001b[2J" from public`,
    );
  });
});
