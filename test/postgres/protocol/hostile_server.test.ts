import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { describe, it } from 'node:test';
import { execute, query, sync } from '../../../src/postgres/protocol/messages.ts';
import type { GroupResult } from '../../../src/postgres/protocol/pending_group.ts';
import { Pipeline, type PipelineLimits } from '../../../src/postgres/protocol/pipeline.ts';
import { bound, parameters, parsed } from '../../support/server_messages.ts';
import { until } from '../../support/until.ts';

const json = { chars: 100, depth: 3 };
const limits: PipelineLimits = { statements: 10, answerBytes: 1_000, json, silenceMs: 1_000 };

describe('Pipeline with a hostile server', () => {
  /** Keeps the bytes that it receives, and never ends by itself: the peer hangs. */
  function silentSocket(): Duplex {
    return new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
  }

  it('destroys a connection that the server does not close', async () => {
    const socket = silentSocket();
    new Pipeline(socket, limits, { onEnd() {}, onSilence() {} }).end();
    await until(() => socket.destroyed);
  });

  it('destroys a connection that the server does not read', async () => {
    const socket = new Duplex({ read() {}, write() {} });
    const pipeline = new Pipeline(socket, limits, { onEnd() {}, onSilence() {} });
    pipeline.send({ after: query('select') }, () => {});
    pipeline.flush();
    pipeline.end();
    assert.equal(socket.destroyed, true);
  });

  it('counts empty rows towards the bound of a result', async () => {
    const socket = silentSocket();
    const reasons: unknown[] = [];
    const pipeline = new Pipeline(socket, limits, {
      onEnd: (reason) => reasons.push(reason),
      onSilence() {},
    });
    const statement = { schema: '', text: Object.assign(['select'], { raw: [] }), values: [] };
    const answers: (GroupResult | null)[] = [];
    pipeline.send({ statement, after: Buffer.concat([execute, sync]) }, (answer) =>
      answers.push(answer),
    );
    const noColumns = Buffer.from('T\0\0\0\x06\0\0', 'latin1');
    const emptyRow = Buffer.from('D\0\0\0\x06\0\0', 'latin1');
    socket.push(
      Buffer.concat([parsed, parameters, noColumns, bound, ...Array(200).fill(emptyRow)]),
    );
    await until(() => reasons.length === 1);
    pipeline.destroy();
    assert.deepEqual(answers, [null]);
  });
});
