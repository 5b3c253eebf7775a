import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Pipeline } from '../../../src/postgres/protocol/pipeline.ts';
import { converse, type FuzzedServer } from './fuzzed_conversation.ts';
import { LaxClient } from './lax_client.ts';

const seconds = Number(process.env.PROTOCOL_FUZZ_SECONDS ?? 4);
const seed = Number(process.env.PROTOCOL_FUZZ_SEED ?? randomInt(2 ** 31));

const limits = {
  statements: 2,
  answerBytes: 4_000,
  json: { chars: 1_000, depth: 8 },
  silenceMs: 60_000,
};

describe(`a Pipeline on a server with mutated replies (seed ${seed})`, {
  timeout: 60_000 + seconds * 2_000,
}, () => {
  const folder = mkdtempSync(join(tmpdir(), 'pipeline-'));
  const path = join(folder, 'server');
  let server: Server;
  before(async () => {
    server = createServer().listen(path);
    await once(server, 'listening');
  });
  after(() => {
    server.close();
    rmSync(folder, { recursive: true });
  });

  async function* conversations(openClient: FuzzedServer['openClient']) {
    for (let at = 0; ; at += 1) yield converse({ listener: server, path, openClient }, seed + at);
  }

  /** A pipeline whose user closes it when told of its end, as a connection does. */
  function openPipeline(socket: Socket): Pipeline {
    const pipeline: Pipeline = new Pipeline(socket, limits, {
      onEnd: () => pipeline.destroy(),
      onSilence: () => pipeline.destroy(),
    });
    return pipeline;
  }

  it("gives each caller a result, and none another caller's rows", async (t) => {
    const endsAt = performance.now() + seconds * 1_000;
    let count = 0;
    for await (const wrong of conversations(openPipeline)) {
      assert.deepEqual(wrong, []);
      count += 1;
      if (performance.now() > endsAt) break;
    }
    t.diagnostic(`${count} conversations`);
  });

  it('control: a client that only counts ReadyForQuery mixes up results', async () => {
    let count = 0;
    for await (const wrong of conversations((socket) => new LaxClient(socket))) {
      if (wrong.some((what) => what.includes('has a row of'))) return;
      count += 1;
      assert.ok(count < 1_000);
    }
  });
});
