import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Connection } from '../../../src/postgres/connection.ts';
import { MessageReader } from '../../../src/postgres/protocol/message_reader.ts';
import { type Column, columnsIn, rowIn } from '../../../src/postgres/protocol/rows.ts';
import { connectionLimits } from '../../support/connection.ts';
import { type TestDatabase, testDatabase } from '../../support/postgres.ts';
import { columns, done, row, serverMessage } from '../../support/server_messages.ts';

const json = { chars: 200, depth: 3 };

/** The rows of an answer whose messages follow one another in one chunk. */
function rowsOf(...messages: Buffer[]): object[] {
  let described: Column[] = [];
  const rows: object[] = [];
  const reader = new MessageReader(10_000, (message) => {
    if (message.type === 'T'.charCodeAt(0)) described = columnsIn(message, json);
    if (message.type === 'D'.charCodeAt(0)) rows.push(rowIn(described, message));
  });
  reader.read(Buffer.concat(messages));
  return rows;
}

const text = 25;
const timestamptz = 1184;

describe('rowIn()', () => {
  it('reads the values of each row by their columns', () => {
    const described = columns(['id', 23], ['name', text], ['größe', 701]);
    const rows = rowsOf(done('BEGIN'), described, row('1', 'Rex', '0.5'), row('2', 'é🐶', null));
    assert.deepEqual(rows, [
      { id: 1, name: 'Rex', größe: 0.5 },
      { id: 2, name: 'é🐶', größe: null },
    ]);
  });

  it('distinguishes null from an empty text', () => {
    const [read] = rowsOf(columns(['a', text], ['b', text]), row('', null));
    assert.deepEqual(read, { a: '', b: null });
  });

  it('reads a bigint as text where a number would round it', () => {
    const read = rowsOf(columns(['n', 20]), row('9007199254740991'), row('-9007199254740993'));
    assert.deepEqual(read, [{ n: 9_007_199_254_740_991 }, { n: '-9007199254740993' }]);
  });

  it('gives a column named __proto__ another name', () => {
    const [read = {}] = rowsOf(columns(['__proto__', text], ['a', text]), row('x', 'y'));
    assert.deepEqual(Object.entries(read), [
      ['__proto___1', 'x'],
      ['a', 'y'],
    ]);
  });

  it('reads a row of a statement without columns', () => {
    assert.deepEqual(rowsOf(columns(), row(), row()), [{}, {}]);
  });

  for (const [what, message] of [
    ['fewer', row('1')],
    ['more', row('1', '2', '3')],
    ['longer', serverMessage('D', '\0\x02', '\0\0\0\x01', '1', '\0\0\0\x09', '2')],
  ] as const) {
    it(`refuses a row with ${what} values than its columns announce`, () => {
      const described = columns(['a', text], ['b', text]);
      const behind = row('of another tenant', null);
      assert.throws(() => rowsOf(described, message, behind), /its fields do not fill it$/);
    });
  }

  for (const [what, message] of [
    ['counts another number of values', serverMessage('D', '\0\x03', '\0\0\0\x01a', '\0\0\0\x01b')],
    [
      'has a length below that of null',
      serverMessage('D', '\0\x02', Buffer.alloc(4, 0xfe), '\0\0\0\0'),
    ],
    ['ends within a length', serverMessage('D', '\0\x02', '\0\0\0\x01a', '\0\0')],
    ['has no number of values', serverMessage('D')],
  ] as const) {
    it(`refuses a row that ${what}`, () => {
      const described = columns(['a', text], ['b', text]);
      assert.throws(() => rowsOf(described, message, row('of another', null)), /do not fill it$/);
    });
  }

  for (const [what, message] of [
    ['without a number', serverMessage('T')],
    ['more than there are', serverMessage('T', '\0\x02', 'a\0', Buffer.alloc(18))],
    ['fewer than there are', serverMessage('T', '\0\0', 'a\0', Buffer.alloc(18))],
    ['whose name has no end', serverMessage('T', '\0\x01', 'a'.repeat(20))],
    ['in binary', serverMessage('T', '\0\x01', 'a\0', Buffer.alloc(17), '\x01')],
  ] as const) {
    it(`refuses columns ${what}`, () => {
      assert.throws(() => rowsOf(message, columns(['b', text])), /do not fill it$/);
    });
  }

  describe('of JSON', () => {
    const jsonb = 3802;
    const read = (written: string) => rowsOf(columns(['a', jsonb]), row(written));
    const padding = ' '.repeat(10);

    it('is parsed up to its limits', () => {
      const quoted = `${'['.repeat(50)}"]]]`;
      assert.deepEqual(read(JSON.stringify([[[quoted]]])), [{ a: [[[quoted]]] }]);
      const longest = `"${'x'.repeat(json.chars - 2)}"`;
      assert.deepEqual(read(longest), [{ a: 'x'.repeat(json.chars - 2) }]);
    });

    for (const [what, written, note] of [
      ['is longer', `"${'x'.repeat(json.chars - 1)}"`, 'JSON of more than 200 characters'],
      ['is nested deeper', `[[[[]]]]${padding}`, 'JSON that is nested more than 3 deep'],
      [
        'is nested deeper with keys',
        '{"a":{"b":[{"c":1}]}}',
        'JSON that is nested more than 3 deep',
      ],
    ] as const) {
      it(`is replaced by a note when it ${what}`, () => {
        assert.deepEqual(read(written), [{ a: { not_read: note } }]);
      });
    }
  });

  it('returns a value of an unknown type as text', () => {
    assert.deepEqual(rowsOf(columns(['a', 99_999]), row('(1,2)')), [{ a: '(1,2)' }]);
  });

  for (const [written, read] of [
    ['2024-02-29 12:00:00+00', '2024-02-29T12:00:00.000Z'],
    ['2024-02-29 12:00:00.5+00', '2024-02-29T12:00:00.500Z'],
    ['2024-02-29 12:00:00.123999+00', '2024-02-29T12:00:00.123Z'],
    ['2024-02-29 14:00:00+02', '2024-02-29 14:00:00+02'],
    ['2024-02-29 17:30:00+05:30', '2024-02-29 17:30:00+05:30'],
    ['2024-02-29 12:00:00+00:00:01', '2024-02-29 12:00:00+00:00:01'],
    ['12024-02-29 12:00:00+00', '12024-02-29 12:00:00+00'],
    ['0044-03-15 12:00:00+00 BC', '0044-03-15 12:00:00+00 BC'],
    ['Thu 29 Feb 12:00:00 2024 UTC', 'Thu 29 Feb 12:00:00 2024 UTC'],
    ['-infinity', '-infinity'],
  ] as const) {
    it(`reads the timestamp "${written}" as "${read}"`, () => {
      assert.deepEqual(rowsOf(columns(['at', timestamptz]), row(written)), [{ at: read }]);
    });
  }
});

describe('rows of a real server', { timeout: 120_000 }, () => {
  let database: TestDatabase;
  let connection: Connection;
  before(async () => {
    database = await testDatabase();
    connection = await Connection.open(database.url, connectionLimits);
  });
  after(async () => {
    connection.close();
    await database.drop();
  });

  /** The value of an expression, whose text stands for itself. */
  async function read(expression: string): Promise<unknown> {
    const strings = [`select ${expression} as value`];
    const [row] = await connection.plain<{ value: unknown }>(
      Object.assign(strings, { raw: strings }),
    );
    return row?.value;
  }

  const values: [expression: string, value: unknown][] = [
    ['true', true],
    ['false', false],
    ['null::boolean', null],
    ["''::bytea", Buffer.alloc(0)],
    ["'\\x00ff'::bytea", Buffer.from([0, 255])],
    ['null::bytea', null],
    ['-1::smallint', -1],
    ['2147483647::integer', 2_147_483_647],
    ['9007199254740991::bigint', Number.MAX_SAFE_INTEGER],
    ['count(*)', 1],
    ['4294967295::oid', 4_294_967_295],
    ['1.5::real', 1.5],
    ['0.1::float8 + 0.2::float8', 0.1 + 0.2],
    ["'-infinity'::float8", Number.NEGATIVE_INFINITY],
    ["'nan'::float8", Number.NaN],
    ['0.10::numeric', '0.10'],
    ["'é🐶'::text", 'é🐶'],
    ["''::text", ''],
    ["repeat('é', 100000)", 'é'.repeat(100_000)],
    ["'{1,2}'::integer[]", '{1,2}'],
    ["'0190f5fe-0000-7000-8000-000000000000'::uuid", '0190f5fe-0000-7000-8000-000000000000'],
    [`'{"a": [1, "é", null]}'::json`, { a: [1, 'é', null] }],
    [`'{"a": {"b": true}}'::jsonb`, { a: { b: true } }],
    ["'null'::jsonb", null],
    ["date '2024-02-29'", '2024-02-29'],
    ["time '12:00'", '12:00:00'],
    ["timestamptz '2024-02-29 12:00+02'", '2024-02-29T10:00:00.000Z'],
    ["timestamptz '2024-02-29 12:00:00.1Z'", '2024-02-29T12:00:00.100Z'],
    ["timestamptz '2024-02-29 12:00:00.123456Z'", '2024-02-29T12:00:00.123Z'],
    ["timestamptz 'infinity'", 'infinity'],
    ["timestamptz '-infinity'", '-infinity'],
    // The text does not say which timestamp it means.
    ["timestamp '2024-02-29 12:00:00.5'", '2024-02-29 12:00:00.5'],
  ];
  for (const [expression, value] of values) {
    it(`are read: ${expression}`, async () => assert.deepEqual(await read(expression), value));
  }

  it('keep timestamps of other time zones than UTC as text with their offset', async (t) => {
    await connection.script("set TimeZone = 'Europe/Berlin'");
    t.after(() => connection.script('reset TimeZone'));
    const value = await read("timestamptz '2024-02-29 12:00Z'");
    assert.equal(value, '2024-02-29 13:00:00+01');
  });

  it('have the columns of a repeated name under a name each', async () => {
    assert.deepEqual(
      { ...(await connection.plain`select 1 as a, 2 as a`)[0] },
      {
        a: 1,
        a_2: 2,
      },
    );
  });
});
