import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import type { Refusal } from '../../src/kernel/errors.ts';
import { openSession } from '../../src/postgres/connect.ts';
import { codeOf, isSilence } from '../../src/postgres/errors.ts';
import { sslRequest } from '../../src/postgres/protocol/messages.ts';
import { whyUnreachable } from '../../src/postgres/unreachable.ts';
import { connectionLimits } from '../support/connection.ts';
import { columns, done, failed, ready, row, serverMessage } from '../support/server_messages.ts';
import { startTcpServer, type TcpServer } from '../support/tcp_server.ts';
import { until } from '../support/until.ts';

const unavailable = { name: 'Refusal', code: 'unavailable' };

/** A wait longer than this fails the suite. */
const patient = { ...connectionLimits, connectTimeoutMs: 60_000 };

const pid = 4_711;

/** The answers of a server to a session that sends its settings and asks for its pid. */
const named = [columns(['pid', 23], ['mark', 25]), row(`${pid}`, 'pinned'), done('SELECT 1')];

const letIn = serverMessage('R', '\0\0\0\0');

/** Admits every client, and answers the first question. */
async function greet(socket: Socket, answer: readonly Buffer[] = [...named, ready]): Promise<void> {
  await once(socket, 'data');
  socket.write(Buffer.concat([letIn, ready]));
  await once(socket, 'data');
  socket.write(Buffer.concat(answer));
}

async function serve(t: TestContext, talk: (socket: Socket) => unknown): Promise<TcpServer> {
  const server = await startTcpServer((socket) => void talk(socket));
  t.after(() => server.close());
  return server;
}

function withMode({ url }: TcpServer, mode: string): string {
  return url.replace('sslmode=disable', `sslmode=${mode}`);
}

describe('openSession()', { timeout: 120_000 }, () => {
  it('leaves bytes after the start to the next reader of the socket', async (t) => {
    const server = await serve(t, (socket) =>
      greet(socket, [...named, ready, Buffer.from('more')]),
    );
    const session = await openSession(server.url, patient);
    assert.equal(session.pid, pid);
    assert.equal(session.socket.listenerCount('data'), 0);
    assert.deepEqual(await once(session.socket, 'data'), [Buffer.from('more')]);
  });

  for (const [what, answer] of [
    ['in a transaction', [...named, serverMessage('Z', 'T')]],
    ['in a failed transaction', [...named, serverMessage('Z', 'E')]],
    ['without a row', [done('SELECT 0'), ready]],
    ['with an invalid backend pid', [row('', 'pinned'), ready]],
    ['with an offer to copy', [serverMessage('H', '\0\0\0'), ready]],
    ['with an error', [failed('57014'), ready]],
    ['with an invalid message', [Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')]],
    ['with a row that ends too early', [serverMessage('D', '\0\x02\0\0'), ready]],
  ] as const) {
    it(`refuses a session that starts ${what}, and leaves no connection`, async (t) => {
      const server = await serve(t, (socket) => greet(socket, answer));
      await assert.rejects(openSession(server.url, patient), unavailable);
      await until(() => server.open() === 0);
      assert.equal(server.accepted(), 1);
    });
  }

  it('refuses a session whose settings a pooler has dropped', async (t) => {
    const answer = [columns(['pid', 23], ['mark', 25]), row(`${pid}`, null), ready];
    const server = await serve(t, (socket) => greet(socket, answer));
    await assert.rejects(openSession(server.url, patient), causedBy(/pooler/));
  });

  for (const [what, welcome] of [
    ['before the authentication', [ready]],
    ['with a second AuthenticationOk', [letIn, letIn, ready]],
    ['with rows', [letIn, row('x'), ready]],
    ['with Kerberos', [serverMessage('R', '\0\0\0\x07'), letIn, ready]],
  ] as const) {
    it(`refuses a session that starts ${what}`, async (t) => {
      const server = await serve(t, async (socket) => {
        await once(socket, 'data');
        socket.write(Buffer.concat(welcome));
      });
      await assert.rejects(openSession(server.url, patient), unavailable);
      await until(() => server.open() === 0);
    });
  }

  it("reports the server's error without a second attempt", async (t) => {
    const server = await serve(t, async (socket) => {
      await once(socket, 'data');
      socket.end(failed('53300', 'FATAL'));
    });
    const refused = (error: Refusal) => codeOf(error.cause) === '53300';
    await assert.rejects(openSession(server.url, patient), refused);
    assert.equal(server.accepted(), 1);
  });

  it('does not send its password in plain text', async (t) => {
    const came: Buffer[] = [];
    const server = await serve(t, async (socket) => {
      // As a server on another machine would see the client: this server is on a loopback address.
      socket.on('data', (chunk: Buffer) => came.push(chunk));
      await once(socket, 'data');
      socket.write(serverMessage('R', '\0\0\0\x03'));
    });
    const url = `${server.url.replace('nobody@', 'nobody:secret@')}&require_auth=scram-sha-256`;
    await assert.rejects(
      openSession(url, patient),
      causedBy(/require_auth does not allow password/),
    );
    assert.doesNotMatch(String(Buffer.concat(came)), /secret/);
  });

  it('sends no proof to a server that cannot bind the channel', async (t) => {
    const came: Buffer[] = [];
    const server = await serve(t, async (socket) => {
      await once(socket, 'data');
      socket.on('data', (chunk: Buffer) => came.push(chunk));
      socket.write(serverMessage('R', '\0\0\0\x0a', 'SCRAM-SHA-256\0\0'));
    });
    const url = `${server.url.replace('nobody@', 'nobody:secret@')}&channel_binding=require`;
    await assert.rejects(openSession(url, patient), causedBy(/channel binding/));
    assert.equal(Buffer.concat(came).length, 0);
    // Control: without the demand it sends its first message.
    const lax = url.replace('&channel_binding=require', '');
    const hasty = { ...connectionLimits, connectTimeoutMs: 300 };
    await assert.rejects(openSession(lax, hasty), unavailable);
    assert.equal(String(Buffer.concat(came)).startsWith('p'), true);
  });

  it('is refused for a missing TLS file, and does not call the server silent', async (t) => {
    const server = await serve(t, (socket) => socket.end('S'));
    const url = `${server.url.split('?')[0]}?sslmode=verify-ca&sslrootcert=/nowhere/ca.pem`;
    await assert.rejects(openSession(url, patient), (error: Refusal) => {
      assert.equal(error.code, 'unavailable');
      assert.equal(whyUnreachable(error), 'a TLS file of the URL cannot be read (ENOENT)');
      assert.equal(isSilence(error), false);
      return true;
    });
  });

  describe('with several hosts', () => {
    const portOf = ({ url }: TcpServer) => new URL(url).port;
    const both = (one: TcpServer, other: TcpServer, more = '') =>
      `postgres://u@127.0.0.1:${portOf(one)},127.0.0.1:${portOf(other)}/db?sslmode=disable${more}`;

    for (const [what, talk] of [
      ['hangs up', (socket: Socket) => socket.destroy()],
      ['says nothing', () => {}],
      [
        'is starting up',
        async (socket: Socket) => {
          await once(socket, 'data');
          socket.end(failed('57P03', 'FATAL'));
        },
      ],
    ] as const) {
      it(`tries the next host when the first ${what}`, async (t) => {
        const [first, second] = [await serve(t, talk), await serve(t, (socket) => greet(socket))];
        const limited = { ...patient, connectTimeoutMs: 2_000 };
        const session = await openSession(both(first, second), limited);
        session.socket.destroy();
        assert.deepEqual([first.accepted(), second.accepted()], [1, 1]);
      });
    }

    it('does not try the next host when the first refuses the login', async (t) => {
      const first = await serve(t, async (socket) => {
        await once(socket, 'data');
        socket.end(failed('28P01', 'FATAL'));
      });
      const second = await serve(t, (socket) => greet(socket));
      await assert.rejects(openSession(both(first, second), patient), unavailable);
      assert.equal(second.accepted(), 0);
    });

    for (const [wanted, reached] of [
      ['read-write', 1],
      ['primary', 1],
      ['any', 0],
    ] as const) {
      it(`with target_session_attrs=${wanted} accepts ${reached ? 'no' : 'a'} standby`, async (t) => {
        const standby = await serve(t, async (socket) => {
          await once(socket, 'data');
          socket.write(Buffer.concat([letIn, serverMessage('S', 'in_hot_standby\0on\0'), ready]));
          await once(socket, 'data');
          socket.write(Buffer.concat([...named, ready]));
        });
        const primary = await serve(t, (socket) => greet(socket));
        const url = both(standby, primary, `&target_session_attrs=${wanted}`);
        (await openSession(url, patient)).socket.destroy();
        assert.equal(primary.accepted(), reached);
      });
    }
  });

  describe('with TLS', () => {
    /** A server that answers the client's offer of TLS with `reply`, and the bytes that it received. */
    async function answering(t: TestContext, reply: string) {
      const came: Buffer[] = [];
      const server = await serve(t, async (socket) => {
        socket.on('data', (chunk: Buffer) => came.push(chunk));
        await once(socket, 'data');
        socket.write(reply);
        await greet(socket);
      });
      return { server, came, urlFor: (mode: string) => withMode(server, mode) };
    }

    for (const mode of ['require', 'verify-full']) {
      it(`with sslmode=${mode} refuses a server without TLS`, async (t) => {
        const { server, came, urlFor } = await answering(t, 'N');
        await assert.rejects(openSession(urlFor(mode), patient), unavailable);
        await until(() => server.open() === 0);
        assert.deepEqual(Buffer.concat(came), sslRequest);
      });
    }

    it('with sslmode=prefer or none accepts a server without TLS', async (t) => {
      for (const mode of ['prefer', '']) {
        const { came, urlFor } = await answering(t, 'N');
        const session = await openSession(urlFor(mode), patient);
        session.socket.destroy();
        assert.equal(session.pid, pid);
        assert.deepEqual(came[0], sslRequest);
      }
    });

    for (const mode of ['disable', 'allow']) {
      it(`with sslmode=${mode} does not offer TLS at first`, async (t) => {
        const server = await serve(t, (socket) => greet(socket));
        const session = await openSession(withMode(server, mode), patient);
        session.socket.destroy();
        assert.equal(session.pid, pid);
      });
    }

    // CVE-2021-23222: bytes in plain text would be trusted as if they had come by TLS.
    for (const reply of ['S\0', `S${ready}`, 'N\0', 'SS', 'E', '\0']) {
      it(`refuses the reply ${JSON.stringify(reply)} to its TLS request`, async (t) => {
        const { server, came, urlFor } = await answering(t, reply);
        await assert.rejects(openSession(urlFor('prefer'), patient), unavailable);
        await until(() => server.open() === 0);
        assert.deepEqual(Buffer.concat(came), sslRequest);
      });
    }

    for (const [what, reply] of [
      ['instead of an answer', ''],
      ['in the middle of the handshake', 'S'],
    ] as const) {
      it(`fails at once when the server hangs up ${what}`, async (t) => {
        const server = await serve(t, async (socket) => {
          await once(socket, 'data');
          if (reply) {
            socket.write(reply);
            await once(socket, 'data');
          }
          socket.end();
        });
        await assert.rejects(openSession(withMode(server, 'require'), patient), unavailable);
      });
    }

    for (const [where, replies] of [
      ['before TLS', []],
      ['in the handshake', ['S']],
      ['before the authentication reply', ['N']],
      ['after the authentication reply', ['N', letIn]],
      ['in the middle of a message', ['N', letIn.subarray(0, 7)]],
      ['before the first query result', ['N', Buffer.concat([letIn, ready])]],
    ] as const) {
      it(`times out when the server hangs ${where}`, async (t) => {
        const server = await serve(t, async (socket) => {
          for (const reply of replies) {
            await once(socket, 'data');
            socket.write(reply);
          }
        });
        const hasty = { ...connectionLimits, connectTimeoutMs: 200 };
        const mode = replies[0] === 'S' ? 'require' : 'prefer';
        await assert.rejects(openSession(withMode(server, mode), hasty), {
          ...unavailable,
          message: 'The database did not accept a connection in time; try again later',
        });
        await until(() => server.open() === 0);
      });
    }

    it('times out earlier by a shorter connect_timeout, and not later by a longer one', async (t) => {
      const server = await serve(t, () => {});
      const before = performance.now();
      await assert.rejects(openSession(`${server.url}&connect_timeout=1`, patient), unavailable);
      const hasty = { ...connectionLimits, connectTimeoutMs: 50 };
      await assert.rejects(openSession(`${server.url}&connect_timeout=0`, hasty), unavailable);
      await assert.rejects(openSession(`${server.url}&connect_timeout=99`, hasty), unavailable);
      assert.ok(performance.now() - before < 20_000);
    });
  });
});

/** The cause of the error says it. */
function causedBy(what: RegExp) {
  return ({ code, cause }: Refusal) =>
    code === 'unavailable' && cause instanceof Error && what.test(cause.message);
}
