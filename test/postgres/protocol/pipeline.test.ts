import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it, type TestContext } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { SqlValue } from '../../../src/kernel/ports.ts';
import { openSession } from '../../../src/postgres/connect.ts';
import { Connection, type ConnectionLimits } from '../../../src/postgres/connection.ts';
import * as messages from '../../../src/postgres/protocol/messages.ts';
import type { GroupResult, SyncGroup } from '../../../src/postgres/protocol/pending_group.ts';
import { Pipeline } from '../../../src/postgres/protocol/pipeline.ts';
import { connectionLimits } from '../../support/connection.ts';
import { inPublic, type TestDatabase, testDatabase } from '../../support/postgres.ts';
import { ScriptedSocket } from '../../support/scripted_socket.ts';
import * as server from '../../support/server_messages.ts';

const { bind, close, execute, parse, query, sync, terminate } = messages;
const { bound, columns, done, failed, noData, parameters, parsed, ready, row, serverMessage } =
  server;
const { readyInTransaction, readyInFailed } = server;

const limits = { statements: 10, answerBytes: 300, json: connectionLimits.json, silenceMs: 1_000 };

const unavailable = { name: 'Refusal', code: 'unavailable' };

function text(strings: TemplateStringsArray, ..._values: unknown[]): TemplateStringsArray {
  return strings;
}

/** A group with a statement whose rows are returned. */
function call(strings = text`select ${1} as a`, values: SqlValue[] = ['1']): SyncGroup {
  return {
    statement: { schema: '', text: strings, values },
    after: Buffer.concat([execute, sync]),
  };
}

/** A group of Kennel's own, which contains no transaction statement. */
const own: SyncGroup = { after: query('listen news') };

/** The statements before a tenant's own, and the server's replies to them. */
const context = Buffer.concat([bind('context', []), execute]);
const contextSet = [bound, row('context'), done('SELECT 1')];

/** The server's first replies to `call()`. */
const described = [parsed, parameters, columns(['a', 25]), bound];

describe('Pipeline', () => {
  let socket: ScriptedSocket;
  let pipeline: Pipeline;
  let answers: (GroupResult | null)[];
  let ends: unknown[];
  let silences: number;
  beforeEach(() => {
    socket = new ScriptedSocket();
    pipeline = pipelineOn(socket);
  });

  function pipelineOn(on: ScriptedSocket): Pipeline {
    answers = [];
    ends = [];
    silences = 0;
    return new Pipeline(on, limits, {
      onEnd: (reason) => ends.push(reason),
      onSilence: () => {
        silences += 1;
      },
    });
  }

  function ask(group: SyncGroup): void {
    pipeline.send(group, (answer) => answers.push(answer));
  }

  const tags = () => answers.map((answer) => answer?.tag);

  describe('send()', () => {
    it('writes all groups of one turn at its end, in one write', async () => {
      ask(own);
      ask({ before: bind('', []), after: sync });
      assert.deepEqual(socket.written, []);
      await setImmediate();
      assert.deepEqual(socket.written, [Buffer.concat([query('listen news'), bind('', []), sync])]);
    });

    it('does not write flushed groups again', async () => {
      ask(own);
      pipeline.flush();
      ask(own);
      pipeline.flush();
      pipeline.flush();
      await setImmediate();
      assert.deepEqual(socket.written, [query('listen news'), query('listen news')]);
    });

    it('sends nothing of a group whose parameter is refused', async () => {
      assert.throws(() => Reflect.apply(ask, null, [call(undefined, [new Date() as never])]));
      ask(own);
      await setImmediate();
      assert.deepEqual(socket.written, [query('listen news')]);
      socket.say(done('LISTEN'), ready);
      assert.deepEqual(tags(), ['LISTEN']);
    });

    it('closes an evicted statement before it prepares the next one', () => {
      const texts = Array.from({ length: limits.statements + 1 }, () => [`select 1`]);
      for (const strings of texts)
        ask(call(Object.freeze(Object.assign(strings, { raw: strings })), []));
      pipeline.flush();
      const closing = socket.written[0]?.indexOf(close('s0')) ?? -1;
      assert.notEqual(closing, -1);
      assert.equal(
        closing + close('s0').length,
        socket.written[0]?.indexOf(parse('s10', 'select 1')),
      );
    });
  });

  describe('a result', () => {
    it('has the rows and the tag of the statement', () => {
      ask(call());
      socket.say(...described, row('x'), row(null), done('SELECT 2'), ready);
      const [answer] = answers;
      assert.deepEqual(answer?.rows, [{ a: 'x' }, { a: null }]);
      assert.deepEqual([answer?.tag, answer?.error, answer?.completed], ['SELECT', null, 1]);
    });

    it('has rows of a prepared statement that is not described again', () => {
      const again = call();
      ask(again);
      socket.say(...described, done('SELECT 0'), ready);
      ask(again);
      socket.say(bound, row('x'), done('SELECT 1'), ready);
      assert.deepEqual(answers[1]?.rows, [{ a: 'x' }]);
    });

    it('is delivered at the end of the group, and not before', () => {
      ask(call());
      socket.say(...described, done('SELECT 0'));
      assert.deepEqual(answers, []);
      socket.say(ready);
      assert.equal(answers.length, 1);
    });

    it('is delivered in the order of the groups', () => {
      for (let at = 0; at < 3; at += 1) ask(own);
      socket.say(done('LISTEN'), ready, done('COMMIT'), ready, done('ROLLBACK'), ready);
      assert.deepEqual(tags(), ['LISTEN', 'COMMIT', 'ROLLBACK']);
    });

    it('leaves out rows and tags of the statements around the call', () => {
      const after = Buffer.concat([execute, bind('reset', []), execute, sync]);
      ask({ ...call(), before: context, statementsBefore: 1, after });
      socket.say(
        ...contextSet,
        ...described,
        row('x'),
        done('UPDATE 1'),
        bound,
        done('RESET'),
        ready,
      );
      assert.deepEqual(answers[0]?.rows, [{ a: 'x' }]);
      assert.deepEqual([answers[0]?.tag, answers[0]?.completed], ['UPDATE', 3]);
    });

    it('has the first tag and no rows of a group without a call', () => {
      ask(own);
      socket.say(columns(['a', 25]), row('x'), done('SELECT 1'), done('COMMIT'), ready);
      assert.deepEqual(
        [answers[0]?.tag, answers[0]?.completed, answers[0]?.rows],
        ['SELECT', 2, []],
      );
    });

    for (const [sent, tag] of [
      ['INSERT 0 12', 'INSERT'],
      ['SELECT 3', 'SELECT'],
      ['CREATE TABLE', 'CREATE TABLE'],
      ['COMMIT', 'COMMIT'],
    ] as const) {
      it(`shortens the tag "${sent}" to "${tag}"`, () => {
        ask(own);
        socket.say(done(sent), ready);
        assert.deepEqual(tags(), [tag]);
      });
    }

    it('has no tag for an empty statement, and counts it', () => {
      ask(call(text``, []));
      socket.say(parsed, parameters, noData, bound, serverMessage('I'), ready);
      assert.deepEqual([answers[0]?.tag, answers[0]?.completed], [null, 1]);
    });

    it('has the error and the number of statements before it', () => {
      ask({ ...call(), before: context, statementsBefore: 1 });
      socket.say(...contextSet, ...described, failed('22012'), ready);
      const [answer] = answers;
      assert.deepEqual([answer?.error?.code, answer?.error?.message], ['22012', 'failed']);
      assert.deepEqual([answer?.completed, answer?.tag, answer?.rows], [1, null, []]);
    });

    it('is not affected by an error of the group before', () => {
      ask(call());
      ask(call(text`select 2`, []));
      socket.say(parsed, failed('42703'), ready, ...described, row('x'), done('SELECT 1'), ready);
      assert.equal(answers[0]?.error?.code, '42703');
      assert.deepEqual([answers[1]?.error, answers[1]?.rows], [null, [{ a: 'x' }]]);
    });

    it('is not affected by notices, notifications and changed settings', () => {
      const others = [
        serverMessage('N', 'VNOTICE\0\0'),
        serverMessage('S', 'a\0b\0'),
        serverMessage('A', '\0\0\0\x01a\0\0'),
      ];
      socket.say(...others);
      ask(call());
      socket.say(...others, ...described, ...others, row('x'), ...others, done('SELECT 1'));
      socket.say(...others, ready, ...others);
      assert.deepEqual([answers[0]?.rows, answers.length, ends], [[{ a: 'x' }], 1, []]);
    });
  });

  describe('a statement', () => {
    const same = text`select ${1} as a`;
    const sentFor = (group: SyncGroup) => {
      pipeline.flush();
      ask(group);
      pipeline.flush();
      return socket.written.at(-1);
    };

    it('is only bound when it is used again', () => {
      ask(call(same));
      socket.say(...described, done('SELECT 0'), ready);
      assert.deepEqual(sentFor(call(same)), Buffer.concat([bind('s0', ['1']), execute, sync]));
    });

    for (const [failure, replies] of [
      ['whose Parse failed', [failed('42601')]],
      ['whose Describe failed', [parsed, failed('42P18')]],
      ['that was not reached because of an error before it', [failed('22012')]],
    ] as const) {
      it(`${failure} is closed and prepared again the next time`, () => {
        ask(call(same));
        socket.say(...replies, ready);
        const anew = [parse('s1', 'select $1 as a'), messages.describe('s1'), bind('s1', ['1'])];
        const expected = [close('s0'), ...anew, execute, sync];
        assert.deepEqual(sentFor(call(same)), Buffer.concat(expected));
      });
    }

    it('that failed in its execution stays prepared', () => {
      ask(call(same));
      socket.say(...described, failed('22012'), ready);
      assert.deepEqual(sentFor(call(same)), Buffer.concat([bind('s0', ['1']), execute, sync]));
    });
  });

  describe('the connection ends', () => {
    /**
     * A group behind the one that ends the connection; whatever message comes, neither is answered.
     */
    beforeEach(() => {
      ask(call());
      ask(own);
    });
    afterEach(() => {
      assert.equal(ends.length, 1);
      const answered = answers.length;
      socket.say(done('SELECT 0'), ready, done('LISTEN'), ready);
      assert.equal(answers.length, answered);
      pipeline.destroy();
      assert.deepEqual(answers.slice(answered), Array(2 - answered).fill(null));
      assert.equal(ends.length, 1);
    });

    const rest = [done('SELECT 0'), ready, done('LISTEN'), ready];

    for (const [what, type] of [
      ['an offer to copy in', 'G'],
      ['an offer to copy out', 'H'],
      ['an offer to copy both ways', 'W'],
      ['copied data', 'd'],
      ['a portal that is suspended', 's'],
      ['a password request', 'R'],
      ['a cancellation key', 'K'],
      ['an unknown type', '?'],
    ] as const) {
      it(`after ${what}, and ignores later bytes`, () => {
        socket.say(...described, serverMessage(type, '\0\0\0'), ...rest);
        assert.match(String(ends[0]), RegExp(`type "[${type}]" now$`));
        assert.deepEqual(answers, []);
      });
    }

    it('and sends nothing more', async () => {
      socket.say(serverMessage('G'), ...rest);
      pipeline.flush();
      await setImmediate();
      assert.deepEqual(socket.written, []);
    });

    it('after an invalid message', () => {
      socket.say(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), ...rest);
      assert.match(String(ends[0]), /Cannot read a message of \d+ bytes$/);
    });

    it('after a description of columns without its columns', () => {
      socket.say(parsed, serverMessage('T', '\0\x05'), ...rest);
      assert.deepEqual(answers, []);
    });

    it('after a row that does not fit its columns', () => {
      socket.say(...described, row('x', 'y'), ...rest);
      assert.deepEqual(answers, []);
    });

    it('after a row whose text is longer than the row', () => {
      socket.say(...described, serverMessage('D', '\0\x01', '\0\0\0\x09', 'x'), ...rest);
      assert.deepEqual(answers, []);
    });

    it('after a result that was not asked for', () => {
      socket.say(...described, ...rest, ready);
      assert.match(String(ends[0]), /type "Z" now$/);
      assert.deepEqual(tags(), ['SELECT', 'LISTEN']);
    });

    for (const [what, message] of [
      ['a tag', done('SELECT 0')],
      ['an error', failed('57P01')],
      ['an empty statement', serverMessage('I')],
    ] as const) {
      it(`after ${what} that was not asked for`, () => {
        socket.say(...described, ...rest, message);
        assert.equal(answers.length, 2);
      });
    }

    for (const severity of ['FATAL', 'PANIC', '']) {
      it(`after an error of severity "${severity}"`, () => {
        socket.say(failed('57P01', severity), ...rest);
        assert.equal(ends[0] instanceof Error && 'code' in ends[0] && ends[0].code, '57P01');
        assert.deepEqual(answers, []);
      });
    }

    it('after one ReadyForQuery too many, without a result for the next group', () => {
      socket.say(...described, done('SELECT 0'), ready, ready, done('LISTEN'), ready);
      assert.deepEqual(tags(), ['SELECT']);
    });

    for (const [what, replies] of [
      ['a completion too few', described],
      ['a completion too many', [...described, done('SELECT 0'), done('SELECT 0')]],
      ['no ParseComplete', described.slice(1)],
      ['a row that its tag does not count', [...described, row('x'), done('SELECT 0')]],
      ['a row less than its tag counts', [...described, row('x'), done('SELECT 2')]],
      ['a row of a statement without columns', [parsed, parameters, noData, bound, row('x')]],
      ['a tag without an end', [...described, serverMessage('C', 'SELECT 0')]],
      ['a tag of more than 64 bytes', [...described, done('x'.repeat(64))]],
      ['an acknowledgement with a body', [serverMessage('1', 'x'), ...described.slice(1)]],
    ] as const) {
      it(`after a result with ${what}`, () => {
        socket.say(...replies, ready, ...rest);
        assert.deepEqual(answers, []);
      });
    }

    for (const status of ['', '?', 'II']) {
      it(`after a transaction status of "${status}"`, () => {
        socket.say(...described, done('SELECT 0'), serverMessage('Z', status), ...rest);
        assert.deepEqual(answers, []);
      });
    }

    it('after notices that are together too large', () => {
      const notice = serverMessage('N', 'x'.repeat(150));
      socket.say(...described, notice, notice, ...rest);
      assert.match(String(ends[0]), /it has more than 300 bytes$/);
    });

    it('after rows that are together too large', () => {
      socket.say(...described, row('x'.repeat(150)));
      assert.deepEqual(ends, []);
      socket.say(row('x'.repeat(150)), ...rest);
      assert.match(String(ends[0]), /it has more than 300 bytes$/);
      assert.deepEqual(answers, []);
    });

    it('after one row that is too large, before it has come', () => {
      const large = row('x'.repeat(limits.answerBytes));
      socket.say(...described, large.subarray(0, 10));
      assert.match(String(ends[0]), /message of 310 bytes$/);
    });

    it('after the connection was closed', async () => {
      socket.destroy();
      await setImmediate();
      assert.match(String(ends[0]), /the connection was closed$/);
    });

    it('after the connection was lost, with its error', async () => {
      const reason = new Error('ECONNRESET');
      socket.destroy(reason);
      await setImmediate();
      assert.deepEqual(ends, [reason]);
    });
  });

  describe('the transaction status', () => {
    const good = [bound, done('SELECT 0')];
    const bad = [bound, failed('22012')];
    const inside: SyncGroup = { before: bind('a', []), after: Buffer.concat([execute, sync]) };
    const statuses = { I: ready, T: readyInTransaction, E: readyInFailed };
    const begin = [bound, done('BEGIN'), readyInTransaction];

    /** The group, the replies to it, and the statuses that may follow them. */
    const cases: [what: string, group: SyncGroup, replies: Buffer[], good: string][] = [
      ['a statement', inside, good, 'I'],
      ['a statement that fails', inside, bad, 'I'],
      ['a beginning', { ...inside, statusAfter: 'T' }, good, 'T'],
      ['a beginning that fails', { ...inside, statusAfter: 'T' }, bad, 'IE'],
    ];
    const inTransaction: typeof cases = [
      ['a statement', inside, good, 'T'],
      ['a statement that fails', inside, bad, 'E'],
      ['an end', { ...inside, statusAfter: 'I' }, good, 'I'],
      ['an end that fails', { ...inside, statusAfter: 'I' }, bad, 'IE'],
    ];
    for (const [where, opening, all] of [
      ['', null, cases],
      [' in a transaction', begin, inTransaction],
    ] as const) {
      for (const [what, group, replies, allowed] of all) {
        for (const [status, last] of Object.entries(statuses)) {
          const isGood = allowed.includes(status);
          it(`"${status}" after ${what}${where} ${isGood ? 'is accepted' : 'ends the connection'}`, () => {
            if (opening) {
              ask({ ...inside, statusAfter: 'T' });
              socket.say(...opening);
              answers.pop();
            }
            ask(group);
            ask(own);
            socket.say(...replies, last);
            const faults = answers.map((answer) => answer?.protocolError === null);
            assert.deepEqual([faults, ends.length], [[isGood], isGood ? 0 : 1]);
          });
        }
      }
    }
  });

  it('reports a connection that had ended before, after its constructor has returned', async () => {
    const closed = new ScriptedSocket();
    closed.destroy();
    pipeline = pipelineOn(closed);
    assert.deepEqual(ends, []);
    await setImmediate();
    assert.equal(ends.length, 1);
  });

  it('accepts results up to the bound for each group', () => {
    for (let at = 0; at < 3; at += 1) ask(call());
    const others = Buffer.concat([...described, row(''), done('SELECT 1'), ready]).length;
    const largest = row('x'.repeat(limits.answerBytes - others));
    for (let at = 0; at < 3; at += 1) socket.say(...described, largest, done('SELECT 1'), ready);
    assert.deepEqual([answers.length, ends], [3, []]);
  });

  for (const leave of ['end', 'destroy'] as const) {
    describe(`${leave}()`, () => {
      it('answers pending groups with null, once', async () => {
        ask(call());
        ask(own);
        pipeline[leave]();
        assert.deepEqual(answers, [null, null]);
        socket.say(...described, done('SELECT 1'), ready, done('LISTEN'), ready);
        pipeline[leave]();
        await setImmediate();
        assert.equal(answers.length, 2);
      });

      it('does not send groups that wait for the end of the turn', async () => {
        ask(own);
        pipeline[leave]();
        pipeline.flush();
        await setImmediate();
        assert.deepEqual(socket.written, leave === 'end' ? [terminate] : []);
      });

      it('reports no end', async () => {
        pipeline[leave]();
        socket.say(serverMessage('G'));
        socket.emit('error', new Error('lost'));
        socket.destroy();
        await setImmediate();
        assert.deepEqual(ends, []);
      });

      it('during a result leaves later groups without theirs', () => {
        pipeline.send(own, () => pipeline[leave]());
        ask(own);
        socket.say(done('LISTEN'), ready, done('LISTEN'), ready);
        assert.deepEqual(answers, [null]);
      });
    });
  }

  it('destroys the connection with destroy(), and closes only its own side with end()', () => {
    pipeline.end();
    assert.deepEqual([socket.writableEnded, socket.destroyed], [true, false]);
    pipeline.destroy();
    assert.equal(socket.destroyed, true);
  });

  describe('silence', () => {
    /** A pipeline whose time the test controls. Node's own fake timers cannot be refreshed. */
    function timed(t: TestContext): (ms: number) => void {
      let [nowMs, dueMs] = [0, Number.POSITIVE_INFINITY];
      let tell = () => {};
      const refresh = () => {
        dueMs = nowMs + limits.silenceMs;
      };
      t.mock.method(globalThis, 'setTimeout', (listener: () => void) => {
        tell = listener;
        refresh();
        return { refresh, unref: () => ({ refresh }) };
      });
      t.mock.method(globalThis, 'clearTimeout', () => {
        dueMs = Number.POSITIVE_INFINITY;
      });
      pipeline = pipelineOn(socket);
      return (ms) => {
        nowMs += ms;
        if (nowMs < dueMs) return;
        dueMs = Number.POSITIVE_INFINITY;
        tell();
      };
    }
    const answered = [done('LISTEN'), ready];

    it('is not reported while no reply is due', (t) => {
      const pass = timed(t);
      pass(10 * limits.silenceMs);
      ask(own);
      socket.say(...answered);
      pass(10 * limits.silenceMs);
      assert.equal(silences, 0);
    });

    it('is reported once', (t) => {
      const pass = timed(t);
      ask(own);
      pass(limits.silenceMs - 1);
      assert.equal(silences, 0);
      pass(1);
      assert.equal(silences, 1);
      pass(10 * limits.silenceMs);
      assert.equal(silences, 1);
    });

    it('begins with the first pending group', (t) => {
      const pass = timed(t);
      pass(limits.silenceMs - 1);
      ask(own);
      pass(limits.silenceMs - 1);
      assert.equal(silences, 0);
    });

    it('begins again with each result, and not with each group', (t) => {
      const pass = timed(t);
      ask(own);
      ask(own);
      pass(limits.silenceMs - 1);
      socket.say(...answered);
      pass(limits.silenceMs - 1);
      assert.equal(silences, 0);
      ask(own);
      pass(1);
      assert.equal(silences, 1);
    });

    for (const leave of ['end', 'destroy'] as const) {
      it(`is not reported after ${leave}()`, (t) => {
        const pass = timed(t);
        ask(own);
        pipeline[leave]();
        pass(10 * limits.silenceMs);
        assert.equal(silences, 0);
      });
    }
  });
});

describe('a Pipeline on a real server', { timeout: 120_000 }, () => {
  let database: TestDatabase;
  let opened: { close(): void }[] = [];
  before(async () => {
    database = await testDatabase();
  });
  after(() => database.drop());
  afterEach(() => {
    for (const one of opened) one.close();
    opened = [];
  });

  async function open(more: Partial<ConnectionLimits> = {}): Promise<Connection> {
    const connection = await Connection.open(inPublic(database), { ...connectionLimits, ...more });
    opened.push(connection);
    return connection;
  }

  async function openPipeline(): Promise<Pipeline> {
    const { socket } = await openSession(inPublic(database), connectionLimits);
    const listeners = { onEnd: () => {}, onSilence: () => {} };
    const pipeline = new Pipeline(socket, { ...connectionLimits, silenceMs: 10_000 }, listeners);
    opened.push({ close: () => pipeline.end() });
    return pipeline;
  }

  function answerOf(pipeline: Pipeline, group: SyncGroup): Promise<GroupResult | null> {
    return new Promise((resolve) => pipeline.send(group, resolve));
  }

  describe('skips a statement', () => {
    const count = text`select nextval('counter')`;
    /** The statements of a group before the call. */
    const running = (sql: string) => Buffer.concat([parse('', sql), bind('', []), execute]);

    for (const [before, called] of [
      ['select 1', true],
      ['select 1 / 0', false],
      ['select wrong', false],
    ] as const) {
      it(`${called ? 'not ' : ''}after "${before}" in the same group`, async () => {
        const connection = await open();
        await connection.script('drop sequence if exists counter; create sequence counter');
        const pipeline = await openPipeline();
        const group = { ...call(count, []), before: running(before), statementsBefore: 1 };
        const answer = await answerOf(pipeline, group);
        assert.equal(answer?.error === null, called);
        const [counter] = await connection.plain`select is_called from counter`;
        assert.deepEqual({ ...counter }, { is_called: called });
        const next = await answerOf(pipeline, call(text`select 1 as one`, []));
        assert.deepEqual(next?.rows, [{ one: 1 }]);
      });
    }
  });

  describe('ends its connection', () => {
    for (const copy of ['copy pets to stdout', 'copy pets from stdin']) {
      const strings = Object.assign([copy], { raw: [copy] });
      it(`after "${copy}", without results for later calls`, async () => {
        const connection = await open();
        await connection.script('create table if not exists pets (name text)');
        const outcomes = await Promise.allSettled([
          connection.plain`select 1`,
          connection.plain(strings),
          connection.plain`select 2`,
        ]);
        const statuses = outcomes.map(({ status }) => status);
        assert.deepEqual(statuses, ['fulfilled', 'rejected', 'rejected']);
        assert.equal(connection.live, false);
      });

      it(`after the script "${copy}"`, async () => {
        const connection = await open();
        await connection.script('create table if not exists pets (name text)');
        await assert.rejects(connection.script(copy), unavailable);
        assert.equal(connection.live, false);
      });
    }

    it('after rows that are together too large', async () => {
      const connection = await open({ answerBytes: 1_000 });
      await assert.rejects(connection.plain`select generate_series(1, 1000)`, unavailable);
      assert.equal(connection.live, false);
    });

    it('after one row that is too large', async () => {
      const connection = await open({ answerBytes: 1_000 });
      await assert.rejects(connection.plain`select repeat('x', 1000)`, unavailable);
      assert.equal(connection.live, false);
    });
  });

  it('ignores notices, notifications and changed settings', async () => {
    const connection = await open();
    await connection.script(`listen news; set TimeZone = 'Asia/Tokyo'; notify news, 'it';
      do $$ begin raise notice 'look'; end $$`);
    const [row] = await connection.plain`
      select set_config('TimeZone', 'UTC', false) as zone, pg_notify('news', 'more')::text as sent`;
    assert.deepEqual({ ...row }, { zone: 'UTC', sent: '' });
    assert.equal(connection.live, true);
  });

  it('prepares a statement again whose table did not exist the first time', async () => {
    const connection = await open();
    const read = () => connection.plain`select name from latecomers`;
    for (let turn = 0; turn < 2; turn += 1) await assert.rejects(read(), unavailable);
    await connection.script('create table latecomers (name text)');
    assert.deepEqual(await read(), []);
  });
});
