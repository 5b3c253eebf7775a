import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isSettingKey, settingMismatch, settingsFrom } from '../../src/kernel/settings.ts';

const defaults = { include_deleted_pets: false, default_page_size: 20, welcome_message: '' };

describe('settingsFrom()', () => {
  it('fills in the defaults', () => {
    assert.deepEqual(settingsFrom({}), defaults);
  });

  it('takes values of the right type, and defaults for others', () => {
    assert.deepEqual(settingsFrom({ include_deleted_pets: 'yes', default_page_size: 5 }), {
      ...defaults,
      default_page_size: 5,
    });
  });

  it('ignores unknown keys, including those of every object', () => {
    assert.deepEqual(settingsFrom({ colour: 'red', constructor: 1 }), defaults);
  });
});

describe('isSettingKey()', () => {
  it('is true for settings, and false for keys of every object', () => {
    assert.ok(isSettingKey('default_page_size'));
    assert.ok(!isSettingKey('constructor'));
    assert.ok(!isSettingKey('__proto__'));
  });
});

describe('settingMismatch()', () => {
  it('returns the expectation that a value misses, or null', () => {
    assert.equal(settingMismatch('default_page_size', 100), null);
    for (const wrong of [0, 101, 1.5, '20', null, undefined, Number.NaN]) {
      assert.equal(
        settingMismatch('default_page_size', wrong),
        'Expected an integer from 1 to 100',
      );
    }
    assert.equal(settingMismatch('include_deleted_pets', 'true'), 'Expected a boolean');
    for (const wrong of ['a\u0000b', '\ud800']) {
      assert.match(settingMismatch('welcome_message', wrong) ?? '', /control characters/);
    }
    assert.equal(settingMismatch('welcome_message', '🐕'.repeat(500)), null);
  });
});
