/** Who is closed when too much of what was sent is not read. */
import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { describe, it } from 'node:test';
import { ClientConnection } from '../../src/http/client_connection.ts';
import { UnreadReplies } from '../../src/http/unread_replies.ts';

const limits = { replyBytes: 1, connectionBytes: 50, holderBytes: 100, bytes: 150 };

function connections(count: number): ClientConnection[] {
  return Array.from({ length: count }, () => new ClientConnection(new Socket()));
}

function closedOf(all: readonly ClientConnection[]): boolean[] {
  return all.map(({ socket }) => socket.destroyed);
}

describe('unread replies', () => {
  it('count with what node keeps of each, until they are read', () => {
    const unread = new UnreadReplies(limits);
    const [one] = connections(1);
    assert.ok(one);
    const read = [unread.add(one, 'acme', 9), unread.add(one, 'acme', 0)];
    assert.equal(unread.bytes, 11);
    for (const first of read) first();
    assert.equal(unread.bytes, 0);
  });
  it('past the bound of a connection close it; a single one does not', () => {
    const unread = new UnreadReplies(limits);
    const all = connections(2);
    const [one, two] = all;
    assert.ok(one && two);
    unread.add(one, 'acme', 60);
    unread.add(two, 'acme', 20);
    const read = unread.add(two, 'acme', 30);
    assert.deepEqual(closedOf(all), [false, true]);
    assert.equal(unread.bytes, 61);
    read();
    assert.equal(unread.bytes, 61, 'what was taken out is not taken out again');
  });
  it('past the bound of a holder close the connection with the most of it, and nobody else', () => {
    const unread = new UnreadReplies(limits);
    const all = connections(4);
    const [other, small, large, last] = all;
    assert.ok(other && small && large && last);
    unread.add(other, 'other', 49);
    unread.add(small, 'acme', 9);
    unread.add(large, 'acme', 79);
    unread.add(last, 'acme', 29);
    assert.deepEqual(closedOf(all), [false, false, true, false]);
    assert.equal(unread.bytes, 50 + 10 + 30);
  });
  it('past the bound of all close one of the holder with the most', () => {
    const unread = new UnreadReplies({ ...limits, connectionBytes: 1_000 });
    const all = connections(4);
    const [modest, one, two, last] = all;
    assert.ok(modest && one && two && last);
    unread.add(modest, 'modest', 49);
    unread.add(one, 'greedy', 39);
    unread.add(two, 'greedy', 29);
    unread.add(last, 'new', 39);
    assert.deepEqual(closedOf(all), [false, true, false, false]);
  });
});
