import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as messages from '../../../src/postgres/protocol/messages.ts';
import { sentMessages } from '../../../src/postgres/protocol/sent_messages.ts';

describe('sentMessages()', () => {
  it('reads back every message that the client sends', () => {
    const bytes = Buffer.concat([
      messages.close('old'),
      messages.parse('s1', 'select $1, $2, $3'),
      messages.describe('s1'),
      messages.bind('s1', ['é', null, Buffer.from([1, 255])]),
      messages.execute,
      messages.sync,
      messages.query('begin'),
    ]);
    assert.deepEqual(sentMessages(bytes), [
      { message: 'Close', statement: 'old' },
      { message: 'Parse', statement: 's1', text: 'select $1, $2, $3' },
      { message: 'Describe', statement: 's1' },
      { message: 'Bind', statement: 's1', values: ['é', null, '\\x01ff'] },
      { message: 'Execute' },
      { message: 'Sync' },
      { message: 'Query', text: 'begin' },
    ]);
  });

  it('reads a part of a larger buffer', () => {
    const bytes = Buffer.concat([messages.sync, messages.query('commit')]);
    assert.deepEqual(sentMessages(bytes.subarray(messages.sync.length)), [
      { message: 'Query', text: 'commit' },
    ]);
  });
});
