import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { logLine, redact } from '../../src/observability/log_line.ts';

const options = { valueChars: 60, stacks: false };
const head = { time: '1970-01-01T00:00:00.000Z', level: 'info', msg: 'hello' } as const;
const line = (fields: Record<string, unknown>) => JSON.parse(logLine(head, fields, options));

describe('redact()', () => {
  const secretive: [text: string, redacted: string][] = [
    ['key kn_0190abc_s3cr-3t_x rejected', 'key kn_0190abc_*** rejected'],
    ['{"authorization":"Bearer s3cret"}', '{"authorization":"Bearer ***"}'],
    ['BEARER   s3cret', 'BEARER ***'],
    ['postgres://user:s3cret@db:5432/kennel', 'postgres://***@db:5432/kennel'],
    ['postgres://user:s3@cr/et@db/kennel', 'postgres://***@db/kennel'],
    [
      'Cannot reach "redis://:s3cret@cache": it is down',
      'Cannot reach "redis://***@cache": it is down',
    ],
    ['smtp://a:s3cret@one and smtp://b:s3cret@two', 'smtp://***@one and smtp://***@two'],
  ];
  for (const [text, redacted] of secretive) {
    it(`writes ${redacted}`, () => assert.equal(redact(text), redacted));
  }

  it('keeps text without secrets', () => {
    for (const text of ['http://127.0.0.1:8080', 'a@b.example', 'kn_ is a prefix', '/api/pets']) {
      assert.equal(redact(text), text);
    }
  });
});

describe('logLine()', () => {
  it('is one line for values with line breaks', () => {
    const written = logLine({ ...head, msg: 'a\nb' }, { 'c"\n': 'd\ne', f: null }, options);
    const begin = '{"time":"1970-01-01T00:00:00.000Z","level":"info"';
    assert.equal(written, `${begin},"msg":"a\\nb","c\\"\\n":"d\\ne","f":null}\n`);
  });

  it('redacts at every depth', () => {
    const message = logLine({ ...head, msg: 'Bearer s3cret' }, {}, options);
    assert.equal(JSON.parse(message).msg, 'Bearer ***');
    assert.equal(line({ shallow: 'Bearer s3cret' }).shallow, 'Bearer ***');
    const { deep } = line({ deep: { list: ['Bearer s3cret'], url: new URL('redis://a:b@c') } });
    assert.deepEqual(deep, { list: ['Bearer ***'], url: 'redis://***@c' });
  });

  it('shows an error with its code and cause, redacted', () => {
    const cause = Object.assign(new Error(''), { code: 'ECONNREFUSED' });
    const error = new TypeError('Cannot reach postgres://u:s3cret@db', { cause });
    assert.deepEqual(line({ error }).error, {
      name: 'TypeError',
      message: 'Cannot reach postgres://***@db',
      cause: { name: 'Error', code: 'ECONNREFUSED', message: '' },
    });
  });

  it('shows the stack of an error only when asked', () => {
    const error = new Error('x');
    const withStacks = logLine(head, { error }, { valueChars: 10_000, stacks: true });
    assert.match(withStacks, /"stack":"Error: x\\n/);
    assert.doesNotMatch(logLine(head, { error }, options), /stack/);
  });

  it('truncates a long value', () => {
    assert.equal(line({ text: 'x'.repeat(61) }).text, `${'x'.repeat(60)}…`);
  });

  it('hides the password of a URL that is truncated before its @', () => {
    const url = `postgres://user:${'s3cret'.repeat(20)}@db`;
    assert.equal(line({ url }).url, 'postgres://***@');
  });

  it('does not throw for circular values and bigints', () => {
    const circular: Record<string, unknown> = { x: 1 };
    circular.self = circular;
    assert.match(line(circular).unprintable, /circular/);
    assert.equal(line(circular).msg, 'hello');
    assert.equal(line({ big: 1n }).big, '1');
  });

  it('leaves out values that JSON cannot express', () => {
    const fields = { absent: undefined, call: () => {}, infinite: Number.POSITIVE_INFINITY };
    assert.deepEqual(line(fields), { ...head, infinite: null });
    assert.deepEqual(line({}), head);
  });
});
