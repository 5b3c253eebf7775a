import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Refusal, unavailable } from '../../src/kernel/errors.ts';
import { asRefusal, isSilence, poisonsConnection } from '../../src/postgres/errors.ts';

function fault(code: string, severity?: 'ERROR' | 'FATAL'): Error {
  return Object.assign(new Error('x'), { code, ...(severity && { severity }) });
}

describe('poisonsConnection()', () => {
  it('is false for an ordinary error of the server', () => {
    assert.equal(poisonsConnection(fault('23505', 'ERROR')), false);
  });
  it('is true for a fatal error, and for an error that the server did not send', () => {
    assert.equal(poisonsConnection(fault('57P01', 'FATAL')), true);
    assert.equal(poisonsConnection(fault('ECONNRESET')), true);
    assert.equal(poisonsConnection(new Error('x')), true);
  });
  for (const code of ['42501', '25P01', '25006', '26000', '0A000']) {
    it(`is true for ${code}`, () => assert.equal(poisonsConnection(fault(code, 'ERROR')), true));
  }
});

describe('isSilence()', () => {
  it('is true when nothing has answered', () => {
    const late = unavailable('The database is not available', fault('ETIMEDOUT'));
    const refused = unavailable('The database is not available', fault('ECONNREFUSED'));
    for (const error of [fault('ENOTFOUND'), refused, late]) assert.equal(isSilence(error), true);
  });
  it('is false for a server that starts, refuses the login or does not speak TLS', () => {
    const starting = fault('57P03', 'FATAL');
    const answers = [starting, fault('28P01', 'FATAL'), new Error('no TLS'), fault('EAGAIN')];
    for (const error of answers) {
      assert.equal(isSilence(unavailable('The database is not available', error)), false);
    }
  });
  it('is false when a session was opened, and its first statement had no answer in time', () => {
    assert.equal(isSilence(unavailable('The database did not answer in time')), false);
  });
});

describe('asRefusal()', () => {
  for (const [meaning, faults] of Object.entries({
    conflict: [fault('23505', 'ERROR')],
    unavailable: [
      fault('53300', 'FATAL'),
      fault('53300', 'ERROR'),
      fault('57014', 'ERROR'),
      fault('55P03', 'ERROR'),
      fault('40P01', 'ERROR'),
      fault('40001', 'ERROR'),
      fault('55006', 'ERROR'),
      // The tables, the schema or the registry row of a tenant that is being erased.
      fault('42P01', 'ERROR'),
      fault('3F000', 'ERROR'),
      fault('23503', 'ERROR'),
      fault('ECONNREFUSED'),
      fault('ENOENT'),
      fault('EAGAIN'),
      fault('3D000', 'FATAL'),
    ],
  })) {
    for (const error of faults) {
      it(`turns ${JSON.stringify(error)} into "${meaning}" with the error as its cause`, () => {
        const refusal = asRefusal(error);
        assert.ok(refusal instanceof Refusal);
        assert.deepEqual([refusal.code, refusal.cause], [meaning, error]);
      });
    }
  }
  for (const error of [
    fault('42501', 'ERROR'),
    fault('42501', 'FATAL'),
    fault('22012', 'ERROR'),
    new Error('x'),
    new Refusal('not_found'),
  ]) {
    it(`returns ${JSON.stringify(error)} unchanged`, () => assert.equal(asRefusal(error), error));
  }
});
