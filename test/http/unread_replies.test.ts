/** Which connections are closed when too many sent bytes are not read. */
import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { describe, it } from 'node:test';
import { ClientConnection } from '../../src/http/client_connection.ts';
import { UnreadReplies } from '../../src/http/unread_replies.ts';

const limits = { replyBytes: 1, connectionBytes: 50, holderBytes: 100, bytes: 150 };

function connections(count: number): ClientConnection[] {
  // Sockets that are not connected cannot be reset.
  const socket = () => new Socket().on('error', () => {});
  return Array.from({ length: count }, () => new ClientConnection(socket()));
}

function closedOf(all: readonly ClientConnection[]): boolean[] {
  return all.map(({ socket }) => socket.destroyed);
}

describe('unread replies', () => {
  it('count with a fixed overhead for each, until they are read', () => {
    const unread = new UnreadReplies(limits);
    const [one] = connections(1);
    assert.ok(one);
    const read = [unread.add(one, 'acme', 9), unread.add(one, 'acme', 0)];
    assert.equal(unread.bytes, 11);
    for (const first of read) first();
    assert.equal(unread.bytes, 0);
  });
  it('past the bound of a connection close it, unless it is a single reply', () => {
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
  it('past the bound of a holder close its connection with the most bytes', () => {
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
  it('past the bound of all close a connection of the holder with the most bytes', () => {
    const unread = new UnreadReplies({ ...limits, connectionBytes: 1_000 });
    const all = connections(4);
    const [small, one, two, last] = all;
    assert.ok(small && one && two && last);
    unread.add(small, 'small', 49);
    unread.add(one, 'greedy', 39);
    unread.add(two, 'greedy', 29);
    unread.add(last, 'new', 39);
    assert.deepEqual(closedOf(all), [false, true, false, false]);
  });
});
