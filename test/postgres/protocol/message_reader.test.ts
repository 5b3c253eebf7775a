import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MessageReader } from '../../../src/postgres/protocol/message_reader.ts';
import { serverMessage } from '../../support/server_messages.ts';

const mostBytes = 1_000;

/** All messages read from the chunks, as `type:body`. */
function readAll(chunks: readonly Buffer[], most = mostBytes): string[] {
  const messages: string[] = [];
  const reader = new MessageReader(most, ({ type, bytes, from, to }) => {
    messages.push(`${String.fromCharCode(type)}:${bytes.toString('utf8', from, to)}`);
  });
  for (const chunk of chunks) reader.read(chunk);
  return messages;
}

/** A head that announces this many bytes, including itself except for the type. */
function head(length: number): Buffer {
  const bytes = Buffer.from('D    ');
  bytes.writeUInt32BE(length, 1);
  return bytes;
}

describe('MessageReader', () => {
  const bytes = Buffer.concat([
    serverMessage('D', 'née'),
    serverMessage('1'),
    serverMessage('C', 'SELECT 1\0'),
    serverMessage('Z', 'I'),
  ]);
  const messages = ['D:née', '1:', 'C:SELECT 1\0', 'Z:I'];

  it('reads many messages of one chunk', () => assert.deepEqual(readAll([bytes]), messages));

  it('reads messages that are cut at any byte', () => {
    for (let at = 0; at <= bytes.length; at += 1) {
      assert.deepEqual(readAll([bytes.subarray(0, at), bytes.subarray(at)]), messages, `at ${at}`);
    }
  });

  it('reads messages that are cut at any two bytes', () => {
    for (let at = 0; at <= bytes.length; at += 1) {
      for (let next = at; next <= bytes.length; next += 1) {
        const chunks = [bytes.subarray(0, at), bytes.subarray(at, next), bytes.subarray(next)];
        assert.deepEqual(readAll(chunks), messages, `at ${at} and ${next}`);
      }
    }
  });

  it('reads messages that come byte by byte', () => {
    assert.deepEqual(readAll([...bytes].map((byte) => Buffer.from([byte]))), messages);
  });

  it('delivers a message once it is whole, and no sooner', () => {
    assert.deepEqual(readAll([bytes.subarray(0, 8)]), []);
    assert.deepEqual(readAll([bytes.subarray(0, 9)]), ['D:née']);
  });

  it('buffers a long message that comes byte by byte in few allocations', (t) => {
    const body = 'x'.repeat(100_000);
    const long = Buffer.concat([serverMessage('D', body), serverMessage('Z', 'I')]);
    const allocate = t.mock.method(Buffer, 'allocUnsafe');
    const bytes = Array.from(long, (_, at) => long.subarray(at, at + 1));
    assert.deepEqual(readAll(bytes, 1_000_000), [`D:${body}`, 'Z:I']);
    const sizes = allocate.mock.calls.map(({ arguments: [size] }) => size);
    assert.ok(sizes.length < 30, `${sizes.length} buffers`);
    assert.equal(Math.max(...sizes), 100_005);
  });

  it('allocates nothing for the announced length of a message', (t) => {
    const allocate = t.mock.method(Buffer, 'allocUnsafe');
    readAll([head(1_000_000)], 1_000_000);
    assert.ok(allocate.mock.calls.every(({ arguments: [size] }) => size < 100));
  });

  it('reads a message of exactly the bound', () => {
    const body = 'x'.repeat(mostBytes - 4);
    assert.deepEqual(readAll([serverMessage('D', body)]), [`D:${body}`]);
  });

  it('refuses a longer message by its head', () => {
    const chunks = [head(mostBytes + 1)];
    assert.throws(() => readAll(chunks), /^Error: Cannot read a message of 1001 bytes$/);
  });

  it('refuses a longer message whose head comes in pieces', () => {
    const long = head(mostBytes + 1);
    assert.throws(() => readAll([long.subarray(0, 3), long.subarray(3)]), /1001 bytes/);
  });

  for (const length of [0, 3, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]) {
    it(`refuses a length of ${length}`, () => {
      assert.throws(
        () => readAll([serverMessage('1'), head(length)]),
        RegExp(`of ${length} bytes`),
      );
    });
  }
});
