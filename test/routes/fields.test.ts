import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as v from 'valibot';
import { date, email, limit, text } from '../../src/routes/fields.ts';

describe('text()', () => {
  it('takes what Postgres can store', () => {
    for (const value of ['a', 'Ünïcödé 🐕', 'x'.repeat(5)]) {
      assert.ok(v.is(text(20), value), value);
    }
  });

  it('refuses the empty, the blank, the too long, and characters that nobody sees', () => {
    for (const value of ['', '  ', 'x'.repeat(6), 'a\u0000', 'a\nb', '\ud800', 1, null]) {
      assert.ok(!v.is(text(5), value), JSON.stringify(value));
    }
  });
});

describe('date', () => {
  it('takes days of the calendar', () => {
    for (const day of ['2024-02-29', '0001-01-01', '9999-12-31']) assert.ok(v.is(date, day), day);
  });

  it('refuses days that there are not', () => {
    for (const day of [
      '2023-02-29',
      '2024-13-01',
      '0000-01-01',
      '2024-1-1',
      'infinity',
      20240101,
    ]) {
      assert.ok(!v.is(date, day), String(day));
    }
  });
});

describe('email', () => {
  it('refuses what could end a header line', () => {
    assert.ok(v.is(email, 'a@example.com'));
    for (const value of ['a', 'a@b\r\nBcc: c@d.com', 'a@example.com\n', '"a\r\nb"@example.com']) {
      assert.ok(!v.is(email, value), JSON.stringify(value));
    }
  });
});

describe('limit', () => {
  it('takes 1 to 100, in digits', () => {
    assert.deepEqual([v.parse(limit, '1'), v.parse(limit, '100')], [1, 100]);
    for (const value of ['0', '101', '1e2', '-1', '1.5', ' 1', '', '0x10']) {
      assert.ok(!v.is(limit, value), value);
    }
  });
});
