import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Connection } from '../../../src/postgres/connection.ts';
import * as messages from '../../../src/postgres/protocol/messages.ts';
import {
  type PreparedStatement,
  PreparedStatements,
} from '../../../src/postgres/protocol/prepared_statements.ts';
import { connectionLimits } from '../../support/connection.ts';
import { type TestDatabase, testDatabase } from '../../support/postgres.ts';

const { bind, close, parse } = messages;

function text(strings: TemplateStringsArray, ..._values: unknown[]): TemplateStringsArray {
  return strings;
}

const one = text`select ${1}::int as one`;
const two = text`select ${1}::int + ${2} as two`;
const three = text`select 3 as three`;
const oneSql = 'select $1::int as one';

/** All messages for a statement that the server does not know. */
function anew(name: string, sql: string, values: string[]): Buffer {
  return Buffer.concat([parse(name, sql), messages.describe(name), bind(name, values)]);
}

describe('PreparedStatements', () => {
  const use = (statements: PreparedStatements, strings = one, schema = 'a', values = ['1']) =>
    statements.prepare({ schema, text: strings, values });

  /** The effect of the server's description. */
  const settle = (statement: PreparedStatement) => {
    statement.isPrepared = true;
  };

  it('parse a statement at its first use', () => {
    assert.deepEqual(use(new PreparedStatements(2)).messages, anew('s0', oneSql, ['1']));
  });

  it('number the parameters of a statement', () => {
    const { messages } = use(new PreparedStatements(2), two, 'a', ['1', '2']);
    assert.deepEqual(messages, anew('s0', 'select $1::int + $2 as two', ['1', '2']));
  });

  it('only bind a prepared statement', () => {
    const statements = new PreparedStatements(2);
    const { statement } = use(statements);
    settle(statement);
    const second = use(statements, one, 'a', ['2']);
    assert.deepEqual(second.messages, bind('s0', ['2']));
    assert.equal(second.statement, statement);
  });

  it('use the unnamed statement until the server has prepared the named one', () => {
    const statements = new PreparedStatements(2);
    const first = use(statements);
    const second = use(statements);
    assert.deepEqual(second.messages, anew('', oneSql, ['1']));
    assert.notEqual(second.statement, first.statement);
    settle(second.statement);
    assert.deepEqual(use(statements).messages, anew('', oneSql, ['1']));
    settle(first.statement);
    assert.deepEqual(use(statements).messages, bind('s0', ['1']));
  });

  it('use a new name after a failure, and close the old one', () => {
    const statements = new PreparedStatements(2);
    statements.forget(use(statements).statement);
    assert.deepEqual(statements.takeCloseMessages(), [close('s0')]);
    assert.deepEqual(use(statements).messages, anew('s1', oneSql, ['1']));
  });

  it('keep the named statement when a later unnamed one failed', () => {
    const statements = new PreparedStatements(2);
    const first = use(statements);
    const second = use(statements);
    settle(first.statement);
    statements.forget(second.statement);
    assert.deepEqual(use(statements).messages, bind('s0', ['1']));
    assert.deepEqual(statements.takeCloseMessages(), []);
  });

  it('keep the replacement of a statement that is forgotten twice', () => {
    const statements = new PreparedStatements(2);
    const first = use(statements);
    statements.forget(first.statement);
    settle(use(statements).statement);
    statements.forget(first.statement);
    assert.deepEqual(use(statements).messages, bind('s1', ['1']));
  });

  it('close the least recently used statement past the bound, once', () => {
    const statements = new PreparedStatements(2);
    for (const strings of [one, two, one]) settle(use(statements, strings).statement);
    assert.deepEqual(statements.takeCloseMessages(), []);
    use(statements, three);
    assert.deepEqual(statements.takeCloseMessages(), [close('s1')]);
    assert.deepEqual(statements.takeCloseMessages(), []);
    assert.deepEqual(use(statements, one).messages, bind('s0', ['1']));
  });

  it('prepare a closed statement again with a new name', () => {
    const statements = new PreparedStatements(1);
    for (const strings of [one, three]) settle(use(statements, strings).statement);
    assert.deepEqual(use(statements).messages, anew('s2', oneSql, ['1']));
  });

  it('prepare the same text for each schema', () => {
    const statements = new PreparedStatements(2);
    settle(use(statements, one, 'a').statement);
    const other = use(statements, one, 'b');
    assert.deepEqual(other.messages, anew('s1', oneSql, ['1']));
    settle(other.statement);
    assert.deepEqual(use(statements, one, 'a').messages, bind('s0', ['1']));
    assert.deepEqual(use(statements, one, 'b').messages, bind('s1', ['1']));
  });

  it('identify a statement by its template in the code, not by its text', () => {
    const statements = new PreparedStatements(2);
    settle(use(statements, text`select ${1}::int as one`).statement);
    assert.deepEqual(use(statements).messages, anew('s1', oneSql, ['1']));
  });

  it('keep nothing of a statement whose parameter is refused', () => {
    const statements = new PreparedStatements(2);
    assert.throws(
      () => Reflect.apply(statements.prepare, statements, [call(undefined)]),
      TypeError,
    );
    assert.deepEqual(statements.prepare(call('1')).messages, anew('s0', oneSql, ['1']));

    function call<Value>(value: Value) {
      return { schema: 'a', text: one, values: [value] };
    }
  });
});

describe('prepared statements of a real server', { timeout: 120_000 }, () => {
  const statements = 3;
  let database: TestDatabase;
  let connection: Connection;
  before(async () => {
    database = await testDatabase();
    connection = await Connection.open(database.url, { ...connectionLimits, statements });
  });
  after(async () => {
    connection.close();
    await database.drop();
  });

  /** Those with names of Kennel; the statement that asks is among them. */
  async function kept(): Promise<string[]> {
    const rows = await connection.plain<{ name: string }>`
      select name from pg_prepared_statements where name ~ '^s[0-9]+$' order by prepare_time`;
    return rows.map(({ name }) => name);
  }

  /** A new text each time, frozen like one in the code. */
  function another(at: number | string): TemplateStringsArray {
    const strings = [`select ${at} as value`];
    return Object.freeze(Object.assign(strings, { raw: strings }));
  }

  it('are at most the bound when used one after another', async () => {
    for (let at = 0; at < 10; at += 1) await connection.plain(another(at));
    assert.equal((await kept()).length, statements);
  });

  it('are at most the bound when used concurrently', async () => {
    await Promise.all(Array.from({ length: 10 }, (_, at) => connection.plain(another(at))));
    assert.equal((await kept()).length, statements);
  });

  it('are at most the bound when some fail', async () => {
    const wrong = Array.from({ length: 10 }, (_, at) => connection.plain(another(`wrong${at}`)));
    await Promise.allSettled(wrong);
    assert.ok((await kept()).length <= statements);
  });

  it('return the right rows while they evict each other', async () => {
    const texts = Array.from({ length: 5 }, (_, at) => another(at));
    const asked = Array.from({ length: 50 }, (_, at) => at % texts.length);
    const answers = await Promise.all(
      asked.map((at) => connection.plain<{ value: number }>(texts[at] ?? another(0))),
    );
    assert.deepEqual(
      answers.map(([row]) => row?.value),
      asked,
    );
  });

  it('are not prepared again by concurrent calls', async () => {
    const same = another("'same'");
    await Promise.all(Array.from({ length: 5 }, () => connection.plain(same)));
    const before = await kept();
    await Promise.all(Array.from({ length: 5 }, () => connection.plain(same)));
    assert.deepEqual(await kept(), before);
  });
});
