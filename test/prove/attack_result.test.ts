import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { attackResultOf, type Outcome, variantsOf, type Without } from './attack_result.ts';
import { exitCodeOf, summaryOf } from './report.ts';

const attack = {
  name: 'a forged Host',
  layers: { shared: ['resolution', 'authorization'] },
} as const;

/** The expected result, except for the runs without the layers of `changed`. */
function found(changed: Readonly<Record<string, Outcome>> = {}) {
  const usual: Readonly<Record<string, Outcome>> = {
    '': stopped('404'),
    resolution: stopped('404'),
    authorization: stopped('400'),
    'resolution+authorization': breached,
  };
  return attackResultOf(attack, 'shared', (without: Without) => {
    const key = without.join('+');
    return changed[key] ?? usual[key] ?? stopped('never run');
  });
}

const breached: Outcome = { breach: 'a secret of the victim came out', told: '200' };

function stopped(told: string): Outcome {
  return { breach: null, told };
}

describe('variantsOf()', () => {
  it('has the whole server, each layer alone, and no layer', () => {
    assert.deepEqual(variantsOf(['seal', 'authorization']), [
      [],
      ['authorization'],
      ['seal'],
      ['seal', 'authorization'],
    ]);
  });

  it('has two variants for a single layer', () => {
    assert.deepEqual(variantsOf(['seal']), [[], ['seal']]);
  });

  it('has the whole server alone when another setting has the control', () => {
    assert.deepEqual(variantsOf([]), [[]]);
  });
});

describe('attackResultOf()', () => {
  it('names the layer that alone answers like the whole server, and the layers behind it', () => {
    const { stoppedBy, behind, fault } = found();
    assert.deepEqual(
      { stoppedBy, behind, fault },
      { stoppedBy: 'authorization', behind: ['resolution'], fault: null },
    );
  });

  it('fails when the whole server was breached', () => {
    const result = found({ '': breached });
    assert.match(result.fault ?? '', /^BREACH: a secret/);
    assert.equal(exitCodeOf([found(), result]), 1);
    assert.match(summaryOf([result], 1), /, 1 breaches, /);
  });

  it('fails when the control was not breached', () => {
    const result = found({ 'resolution+authorization': stopped('404') });
    assert.match(result.fault ?? '', /^proves nothing/);
    assert.equal(exitCodeOf([found(), result]), 1);
    assert.match(summaryOf([result], 1), /, 1 controls not breached, /);
  });

  it('fails when a layer alone does not stop the attack', () => {
    const result = found({ resolution: breached });
    assert.match(result.fault ?? '', /^"authorization" alone does not stop it/);
    assert.equal(exitCodeOf([result]), 1);
  });

  it('needs no control when another setting has it, and fails all the same for a breach', () => {
    const guardedOnly = { name: attack.name, layers: { restored: [] } };
    const result = attackResultOf(guardedOnly, 'restored', () => stopped('404'));
    assert.equal(result.control, null);
    assert.equal(exitCodeOf([result]), 0);
    assert.match(summaryOf([result], 1), /, 1 runs stopped, 0 breaches, all controls breached, /);
    assert.equal(exitCodeOf([attackResultOf(guardedOnly, 'restored', () => breached)]), 1);
  });

  it('succeeds when every layer stops the attack and the control is breached', () => {
    assert.equal(exitCodeOf([found()]), 0);
    assert.match(
      summaryOf([found()], 1),
      /, 3 runs stopped, 0 breaches, all controls breached, 1 s$/,
    );
  });
});
