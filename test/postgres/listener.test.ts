import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { Lane } from '../../src/postgres/lane.ts';
import { Listener } from '../../src/postgres/listener.ts';
import { laneBounds, listenerBounds } from '../support/lane.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { startTcpServer } from '../support/tcp_server.ts';
import { until } from '../support/until.ts';

describe('Listener', () => {
  let database: TestDatabase;
  let lane: Lane;
  let listener: Listener;
  let heard: string[];
  let gaps: number;
  before(async () => {
    database = await testDatabase();
    lane = await Lane.open(database.url, laneBounds);
  });
  after(async () => {
    lane.close();
    await database.drop();
  });
  beforeEach(() => {
    heard = [];
    gaps = 0;
  });
  afterEach(() => listener.close());

  function listen(url: string, connectTimeoutMs = 3_000): void {
    listener = new Listener(url, 'kennel', {
      ...listenerBounds,
      onMessage: (message) => heard.push(message),
      onGap: () => {
        gaps += 1;
      },
      connectTimeoutMs,
    });
  }

  const backends = () => lane.plain<{ pid: number }>`
    select pid
    from pg_stat_activity
    where datname = current_database() and query like 'listen %' and pid <> pg_backend_pid()`;

  it('hands on messages in order', async () => {
    listen(database.url);
    await until(() => listener.connected);
    for (const message of ['one', 'two']) await lane.plain`select pg_notify('kennel', ${message})`;
    await until(() => heard.length === 2);
    assert.deepEqual(heard, ['one', 'two']);
  });

  it('comes back when its backend was ended, and says that there was a gap', async () => {
    listen(database.url);
    await until(() => gaps === 1);
    for (const { pid } of await backends()) await lane.plain`select pg_terminate_backend(${pid})`;
    await until(() => gaps === 2 && listener.connected);
    await lane.plain`select pg_notify('kennel', 'again')`;
    await until(() => heard.includes('again'));
  });

  it('tries again when the server hangs up', async (t) => {
    const server = await startTcpServer((socket) => socket.destroy());
    t.after(() => server.close());
    listen(server.url);
    await until(() => server.accepted() >= 3);
    assert.deepEqual([listener.connected, gaps], [false, 0]);
  });

  it('tries again when the server says nothing, and leaves no connection behind', async (t) => {
    const server = await startTcpServer(() => {});
    t.after(() => server.close());
    listen(server.url, 20);
    await until(() => server.accepted() >= 3);
    listener.close();
    await until(() => server.open() === 0);
  });

  it('ends its connection when it is closed', async () => {
    listen(database.url);
    await until(() => listener.connected);
    listener.close();
    await until(async () => (await backends()).length === 0);
    assert.equal(gaps, 1);
  });
});
