import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as v from 'valibot';
import { date, email, limit, text } from '../../src/routes/fields.ts';

describe('text()', () => {
  it('accepts text that Postgres can store', () => {
    for (const value of ['a', 'Ünïcödé 🐕', 'x'.repeat(5)]) {
      assert.ok(v.is(text(20), value), value);
    }
  });

  it('refuses empty, blank and too long text, and control characters', () => {
    for (const value of ['', '  ', 'x'.repeat(6), 'a\u0000', 'a\nb', '\ud800', 1, null]) {
      assert.ok(!v.is(text(5), value), JSON.stringify(value));
    }
  });
});

describe('date', () => {
  it('accepts dates of the calendar', () => {
    for (const day of ['2024-02-29', '0001-01-01', '9999-12-31']) assert.ok(v.is(date, day), day);
  });

  it('refuses dates that do not exist', () => {
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
  it('refuses characters that end a header line', () => {
    assert.ok(v.is(email, 'a@example.com'));
    for (const value of ['a', 'a@b\r\nBcc: c@d.com', 'a@example.com\n', '"a\r\nb"@example.com']) {
      assert.ok(!v.is(email, value), JSON.stringify(value));
    }
  });

  const label = 'l'.repeat(63);
  it('accepts addresses of RFC 5321', () => {
    for (const value of [
      ...[
        "o'brien@example.com",
        'a@xn--bcher-kva.example',
        'a@example.xn--p1ai',
        'A.b+c@EXAMPLE.com',
      ],
      ...["!#$%&'*+/=?^_`{|}~-@a-b.example", `${'a'.repeat(64)}@example.com`, `a@${label}.example`],
      ...['a@1.example', `${'a'.repeat(64)}@${label}.${label}.${'l'.repeat(61)}`],
    ]) {
      assert.ok(v.is(email, value), value);
    }
  });

  it('refuses addresses that mail servers refuse', () => {
    for (const value of [
      ...[`${'a'.repeat(65)}@example.com`, `a@${label}l.example`, `a@b.${label}l`],
      `${'a'.repeat(64)}@${label}.${label}.${'l'.repeat(62)}`,
      ...[
        '.a@example.com',
        'a.@example.com',
        'a..b@example.com',
        'a@b@example.com',
        '@example.com',
      ],
      ...[
        'a@example',
        'a@.example',
        'a@example..com',
        'a@example.com.',
        'a@-a.example',
        'a@a-.example',
      ],
      ...[
        'a@1.2.3.4',
        'a@[1.2.3.4]',
        'a@a_b.example',
        'a b@example.com',
        'é@example.com',
        'a@bücher.de',
      ],
    ]) {
      assert.ok(!v.is(email, value), value);
    }
  });
});

describe('limit', () => {
  it('accepts 1 to 100, in digits', () => {
    assert.deepEqual([v.parse(limit, '1'), v.parse(limit, '100')], [1, 100]);
    for (const value of ['0', '101', '1e2', '-1', '1.5', ' 1', '', '0x10']) {
      assert.ok(!v.is(limit, value), value);
    }
  });
});
