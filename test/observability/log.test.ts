import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createLog, type LogLevel, requestLine } from '../../src/observability/log.ts';
import { until } from '../support/until.ts';

/** A stream that keeps its input, and accepts no more while its reader is stuck. */
class Sink extends Writable {
  readonly writes: string[] = [];
  stuck = false;
  #resume = () => {};

  override _write(chunk: unknown, _encoding: string, done: () => void): void {
    this.writes.push(String(chunk));
    if (this.stuck) this.#resume = done;
    else done();
  }

  unstick(): void {
    this.stuck = false;
    this.#resume();
  }
}

const limits = {
  gatherMs: 5,
  gatherChars: 1_000,
  backlogBytes: 200,
  valueChars: 1_000,
  flushMs: 20,
};

function logTo(out: Sink, level: LogLevel = 'info', changed: Partial<typeof limits> = {}) {
  return createLog({ level, sink: out, nowMs: () => 0, ...limits, ...changed });
}

describe('createLog()', () => {
  it('writes the time, the level, the message and the fields', async () => {
    const out = new Sink();
    const log = logTo(out);
    log.info('listening', { url: 'http://[::1]:80' });
    await log.flush();
    const line =
      '{"time":"1970-01-01T00:00:00.000Z","level":"info","msg":"listening","url":"http://[::1]:80"}\n';
    assert.deepEqual(out.writes, [line]);
  });

  it('gathers lines of a few milliseconds into one write', async () => {
    const out = new Sink();
    const log = logTo(out, 'info', { gatherMs: 300 });
    log.info('one');
    await nextTurn();
    log.warn('two');
    assert.equal(out.writes.length, 0);
    await until(() => out.writes.length > 0);
    assert.equal(out.writes[0]?.split('\n').length, 3);
    log.info('three');
    await until(() => out.writes.length > 1);
    assert.match(out.writes[1] ?? '', /^\{[^\n]*"msg":"three"\}\n$/);
  });

  it('writes at once when enough lines are gathered', () => {
    const out = new Sink();
    const log = logTo(out, 'info', { gatherMs: 60_000, gatherChars: 80 });
    log.info('one');
    assert.equal(out.writes.length, 0);
    log.info('two');
    assert.equal(out.writes[0]?.split('\n').length, 3);
  });

  it('leaves out lines below its level', async () => {
    const out = new Sink();
    const log = logTo(out, 'warn');
    log.debug('no');
    log.info('no');
    log.error('yes');
    await log.flush();
    assert.match(out.writes.join(''), /^\{[^\n]*"msg":"yes"\}\n$/);
  });

  it('drops lines while the reader is stuck, and logs how many', () => {
    const out = new Sink();
    const log = logTo(out, 'info', { gatherChars: 1 });
    out.stuck = true;
    for (let index = 0; index < 100; index += 1) log.info('request');
    assert.ok(out.writableLength < 300, `${out.writableLength} bytes wait`);
    out.unstick();
    const written = out.writes.join('').split('\n').length - 1;
    log.info('again');
    assert.match(out.writes.at(-1) ?? '', new RegExp(`"dropped_lines":${100 - written}}`));
    log.info('and again');
    assert.doesNotMatch(out.writes.at(-1) ?? '', /dropped/);
  });

  it('bounds gathered lines too', async () => {
    const out = new Sink();
    const log = logTo(out);
    for (let index = 0; index < 100; index += 1) log.info('request');
    await log.flush();
    assert.ok(out.writes.join('').length < 300);
  });

  it('gives up a flush when the reader is stuck', async () => {
    const out = new Sink();
    out.stuck = true;
    const log = logTo(out);
    log.info('last words');
    await log.flush();
    assert.equal(out.writes.length, 1);
  });
});

describe('requestLine()', () => {
  it('has null for an unknown tenant', () => {
    const record = { requestId: 'r-1', endpoint: '/api/pets', tenant: null, caller: null };
    const address = '192.0.2.1';
    const fields = requestLine({
      method: 'GET',
      record,
      status: 401,
      durationMs: 1.23456,
      address,
    });
    assert.deepEqual(fields, {
      method: 'GET',
      route: '/api/pets',
      status: 401,
      tenant: null,
      user_id: null,
      duration_ms: 1.235,
      request_id: 'r-1',
      client: '192.0.2.1',
    });
  });
});
