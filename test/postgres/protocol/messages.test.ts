import assert from 'node:assert/strict';
import { describe as about, it } from 'node:test';
import type { SqlValue } from '../../../src/kernel/ports.ts';
import * as messages from '../../../src/postgres/protocol/messages.ts';
import { serverMessage } from '../../support/server_messages.ts';

const { bind, close, describe, execute, parse, query, sslRequest, sync, terminate } = messages;

about('messages of the client', () => {
  for (const [name, message, expected] of [
    ['Parse', parse('s0', 'select 1'), serverMessage('P', 's0\0select 1\0\0\0')],
    ['Describe', describe('s0'), serverMessage('D', 'Ss0\0')],
    ['Close', close('s0'), serverMessage('C', 'Ss0\0')],
    ['Execute', execute, serverMessage('E', '\0\0\0\0\0')],
    ['Sync', sync, serverMessage('S')],
    ['Query', query("select 'é'"), serverMessage('Q', "select 'é'\0")],
    ['Terminate', terminate, serverMessage('X')],
    ['SSLRequest', sslRequest, Buffer.from('0000000804d2162f', 'hex')],
  ] as const) {
    it(`have the bytes of the protocol: ${name}`, () => assert.deepEqual(message, expected));
  }

  it('refuse a zero byte in a text', () => {
    for (const message of [parse, describe, close, query]) {
      assert.throws(() => message('a\0b', 'select 1'), TypeError);
    }
    assert.throws(() => parse('s0', 'select 1\0select 2'), TypeError);
  });
});

about('bind()', () => {
  const kinds: [what: string, value: SqlValue, hex: string][] = [
    ['null', null, 'ffffffff'],
    ['an empty text', '', '00000000'],
    ['a text by its bytes, not its characters', 'é🐶', '00000006c3a9f09f90b6'],
    ['half a character as its replacement', '\ud83d', '00000003efbfbd'],
    ['a whole number', -12, '000000032d3132'],
    ['a fraction', 1.5, '00000003312e35'],
    ['NaN', Number.NaN, '000000034e614e'],
    ['true', true, '0000000174'],
    ['false', false, '0000000166'],
    ['bytes', Buffer.from([0, 255]), '000000065c7830306666'],
    ['bytes that are part of others', new Uint8Array([1, 2, 3]).subarray(1, 2), '000000045c783032'],
    ['no bytes', new Uint8Array(), '000000025c78'],
    ['an empty list', [], '000000027b7d'],
    [
      'a list with each element in quotes',
      ['a', 'NULL', ''],
      '0000000f7b2261222c224e554c4c222c22227d',
    ],
    ['a list with its quotes and backslashes escaped', ['"\\'], '000000087b225c225c5c227d'],
    ['a list by its bytes, not its characters', ['🐶'], '000000087b22f09f90b6227d'],
  ];
  for (const [what, value, hex] of kinds) {
    it(`encodes ${what}`, () => {
      const expected = serverMessage('B', '\0s0\0\0\0', '\0\x01', Buffer.from(hex, 'hex'), '\0\0');
      assert.deepEqual(bind('s0', [value]), expected);
    });
  }

  it('encodes parameters in order', () => {
    const three = serverMessage(
      'B',
      '\0\0\0\0',
      '\0\x03',
      '\0\0\0\x01a',
      '\0\0\0\x01b',
      '\0\0\0\x01c',
      '\0\0',
    );
    assert.deepEqual(bind('', ['a', 'b', 'c']), three);
  });

  it('encodes no parameters', () =>
    assert.deepEqual(bind('s0', []), serverMessage('B', '\0s0\0\0\0', '\0\0', '\0\0')));

  it('refuses more than 65 535 parameters', () => {
    assert.equal(bind('', Array(65_535).fill(null)).readUInt16BE(9), 65_535);
    assert.throws(() => bind('', Array(65_536).fill(null)), RangeError);
  });

  for (const value of [undefined, {}, 1n, Symbol(), new Date(), () => {}, new ArrayBuffer(1)]) {
    it(`refuses a value of type ${Object.prototype.toString.call(value)}`, () => {
      assert.throws(() => Reflect.apply(bind, null, ['', [value]]), TypeError);
    });
  }

  for (const element of [null, undefined, 1, ['a'], { toString: () => '"' }]) {
    it(`refuses a list with a value such as ${JSON.stringify(element)}`, () => {
      assert.throws(() => Reflect.apply(bind, null, ['', [['a', element]]]), TypeError);
    });
  }
});
