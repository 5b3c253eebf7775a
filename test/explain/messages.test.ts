import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { explainedMessages, shortened } from '../../src/explain/messages.ts';
import { bind } from '../../src/postgres/protocol/messages.ts';

const limits = { messages: 10, valueChars: 20, sqlChars: 200 };

/** The names that the parameters of a statement get. */
function namesIn(sql: string, count: number): (string | undefined)[] {
  const bytes = bind('s1', Array(count).fill('x'));
  const [message] = explainedMessages(bytes, sql, limits);
  return message?.parameters?.map(({ name }) => name) ?? [];
}

describe('explainedMessages()', () => {
  it('names parameters after the columns that they are compared with or written to', () => {
    const select =
      'select from pets where id = $1 and species = any ($2) and xmin::text = $3 limit $4';
    assert.deepEqual(namesIn(select, 4), ['id', 'species', 'xmin', 'limit']);
    const insert = 'insert into pets (id, name)\nvalues (\n  $1, $2\n)';
    assert.deepEqual(namesIn(insert, 2), ['id', 'name']);
    assert.deepEqual(namesIn('update pets set name = coalesce($1, name)', 1), ['name']);
  });

  it('numbers a parameter without a name', () => {
    assert.deepEqual(namesIn('select from pets where not deleted or $1', 1), ['$1']);
  });

  it('shows no more messages than the limit', () => {
    const bytes = Buffer.concat([bind('a', []), bind('b', []), bind('c', [])]);
    assert.equal(explainedMessages(bytes, null, { ...limits, messages: 2 }).length, 2);
  });
});

describe('shortened()', () => {
  it('leaves four characters of a seal, a digest and binary data', () => {
    const mac = '0123456789abcdef'.repeat(4);
    assert.equal(shortened(`tenant.0.${mac}`, 100), 'tenant.0.0123…');
    assert.equal(shortened(`kn_id_${mac}`, 100), 'kn_id_0123…');
    assert.equal(shortened('\\x01ff22', 100), '\\x01ff…');
  });

  it('leaves ids, and the name of a schema with an id', () => {
    for (const text of ['01a2274e-fa0c-722e-8aff-8f35d1d5e75a', `t_${'0a'.repeat(16)}`]) {
      assert.equal(shortened(text, 100), text);
    }
  });

  it('cuts a long text', () => {
    assert.equal(shortened('abcdef', 3), 'abc…');
  });
});
