import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, afterEach, before, beforeEach, describe, it, type TestContext } from 'node:test';
import { Connection } from '../../src/postgres/connection.ts';
import { NotificationListener } from '../../src/postgres/notification_listener.ts';
import { connectionLimits, listenerLimits } from '../support/connection.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { columns, failed, ready, row, serverMessage } from '../support/server_messages.ts';
import { startTcpServer } from '../support/tcp_server.ts';
import { until } from '../support/until.ts';

describe('NotificationListener', () => {
  let database: TestDatabase;
  let connection: Connection;
  let listener: NotificationListener;
  let heard: string[];
  let gaps: number;
  before(async () => {
    database = await testDatabase();
    connection = await Connection.open(database.url, connectionLimits);
  });
  after(async () => {
    connection.close();
    await database.drop();
  });
  beforeEach(() => {
    heard = [];
    gaps = 0;
  });
  afterEach(() => listener.close());

  function listen(url: string, connectTimeoutMs = 3_000, probeMs = 5_000): void {
    listener = new NotificationListener(url, 'kennel', {
      ...listenerLimits,
      onMessage: (message) => heard.push(message),
      onGap: () => {
        gaps += 1;
      },
      connectTimeoutMs,
      probeMs,
    });
  }

  const backends = () => connection.plain<{ pid: number; query_start: string }>`
    select pid, query_start
    from pg_stat_activity
    where datname = current_database() and query like 'listen %' and pid <> pg_backend_pid()`;

  it('delivers messages in order', async () => {
    listen(database.url);
    await until(() => listener.connected);
    for (const message of ['one', 'two'])
      await connection.plain`select pg_notify('kennel', ${message})`;
    await until(() => heard.length === 2);
    assert.deepEqual(heard, ['one', 'two']);
  });

  it('reconnects when its backend was terminated, and reports a gap', async () => {
    listen(database.url);
    await until(() => gaps === 1);
    for (const { pid } of await backends())
      await connection.plain`select pg_terminate_backend(${pid})`;
    await until(() => gaps === 2 && listener.connected);
    await connection.plain`select pg_notify('kennel', 'again')`;
    await until(() => heard.includes('again'));
  });

  describe('while Postgres is away', () => {
    /** A proxy of the database; no client gets through while it is closed. */
    async function openProxy(t: TestContext) {
      const { hostname, port } = new URL(database.url);
      const sockets = new Set<Socket>();
      let isOpen = true;
      let cuts = (_chunk: Buffer) => false;
      const server = await startTcpServer((socket) => {
        if (!isOpen) {
          socket.destroy();
          return;
        }
        const far = connect(Number(port), hostname);
        sockets.add(socket);
        far.on('error', () => {}).on('close', () => socket.destroy());
        socket.on('close', () => far.destroy());
        far.pipe(socket);
        socket.on('data', (chunk: Buffer) => {
          if (cuts(chunk)) socket.destroy();
          else far.write(chunk);
        });
      });
      t.after(() => server.close());
      const url = new URL(database.url);
      url.port = new URL(server.url).port;
      return {
        url: `${url.href}?sslmode=disable`,
        attempts: server.accepted,
        away: () => {
          isOpen = false;
          for (const socket of sockets) socket.destroy();
        },
        back: () => {
          isOpen = true;
        },
        cutWhen: (cut: (chunk: Buffer) => boolean) => {
          cuts = cut;
        },
        hang: () => {
          for (const socket of sockets) socket.unpipe().removeAllListeners('data').pause();
        },
      };
    }

    it('is not connected, and reports one gap when Postgres is back', async (t) => {
      const { url, attempts, away, back } = await openProxy(t);
      listen(url);
      await until(() => gaps === 1);
      away();
      const before = attempts();
      await until(() => attempts() > before + 5);
      assert.deepEqual([listener.connected, gaps], [false, 1]);
      back();
      await until(() => listener.connected);
      assert.equal(gaps, 2);
      await connection.plain`select pg_notify('kennel', 'again')`;
      await until(() => heard.includes('again'));
      assert.equal(gaps, 2);
    });

    it('is not connected before the server has confirmed LISTEN', async (t) => {
      const { url, attempts, cutWhen } = await openProxy(t);
      cutWhen((chunk) => chunk.includes('listen "kennel"'));
      listen(url);
      await until(() => attempts() > 5);
      assert.deepEqual([listener.connected, gaps], [false, 0]);
      cutWhen(() => false);
      await until(() => listener.connected);
      assert.equal(gaps, 1);
    });

    it('is not connected when the server refuses LISTEN', async (t) => {
      const server = await startTcpServer(async (socket) => {
        await once(socket, 'data');
        socket.write(Buffer.concat([serverMessage('R', '\0\0\0\0'), ready]));
        await once(socket, 'data');
        socket.write(
          Buffer.concat([columns(['pid', 23], ['mark', 25]), row('1', 'pinned'), ready]),
        );
        await once(socket, 'data');
        socket.write(Buffer.concat([failed('42501'), ready]));
      });
      t.after(() => server.close());
      listen(server.url);
      await until(() => server.accepted() >= 3);
      assert.deepEqual([listener.connected, gaps], [false, 0]);
    });

    it('reconnects when a connection is open but silent', async (t) => {
      const { url, hang } = await openProxy(t);
      listen(url, 3_000, 50);
      await until(() => listener.connected);
      const before = gaps;
      hang();
      // A busy machine may answer another probe too late.
      await until(() => gaps > before);
    });

    it('reports no gap while its probes are answered', async () => {
      listen(database.url, 3_000, 1_000);
      await until(() => listener.connected);
      const [before] = await backends();
      const probed = async () => {
        const [now] = await backends();
        return String(now?.query_start) !== String(before?.query_start);
      };
      await until(probed);
      assert.deepEqual([listener.connected, gaps], [true, 1]);
    });
  });

  it('retries when the server hangs up', async (t) => {
    const server = await startTcpServer((socket) => socket.destroy());
    t.after(() => server.close());
    listen(server.url);
    await until(() => server.accepted() >= 3);
    assert.deepEqual([listener.connected, gaps], [false, 0]);
  });

  it('retries when the server is silent, and leaves no connection', async (t) => {
    const server = await startTcpServer(() => {});
    t.after(() => server.close());
    listen(server.url, 20);
    await until(() => server.accepted() >= 3);
    listener.close();
    await until(() => server.open() === 0);
  });

  it('ends its backend when it is closed', async () => {
    listen(database.url);
    await until(() => listener.connected);
    listener.close();
    await until(async () => (await backends()).length === 0);
    assert.equal(gaps, 1);
  });
});
