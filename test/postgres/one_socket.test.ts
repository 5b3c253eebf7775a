import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { Lane } from '../../src/postgres/lane.ts';
import { OneSocket } from '../../src/postgres/one_socket.ts';
import { openSession } from '../../src/postgres/session.ts';
import { sslRequest } from '../../src/postgres/wire/messages.ts';
import { laneBounds } from '../support/lane.ts';
import { type SelfSigned, selfSigned } from '../support/self_signed.ts';
import { bound, columns, done, parsed, ready, row, said } from '../support/server_messages.ts';
import { lookInto } from '../support/sql.ts';
import { startTcpServer, type TcpServer } from '../support/tcp_server.ts';
import { openFolder, startTestCluster } from '../support/test_cluster.ts';
import { until } from '../support/until.ts';

const unavailable = { name: 'Refusal', code: 'unavailable' };

/** What is waited for longer than this would fail its suite. */
const patient = { ...laneBounds, connectTimeoutMs: 60_000 };

const pid = 4_711;

/** What a server says to a driver that asks for its pid. */
const named = [
  parsed,
  said('t', '\0\0'),
  columns(['pid', 23]),
  bound,
  row(`${pid}`),
  done('SELECT 1'),
];

/** Lets anybody in, and answers the first question. */
async function greet(socket: Socket, end: readonly Buffer[] = [ready]): Promise<void> {
  await once(socket, 'data');
  socket.write(Buffer.concat([said('R', '\0\0\0\0'), ready]));
  await once(socket, 'data');
  socket.write(Buffer.concat([...named, ...end]));
}

async function serve(t: TestContext, talk: (socket: Socket) => unknown): Promise<TcpServer> {
  const server = await startTcpServer((socket) => void talk(socket));
  t.after(() => server.close());
  return server;
}

describe('OneSocket', { timeout: 30_000 }, () => {
  it('gives the socket away, with all that comes behind the answer of the driver', async (t) => {
    let peer: Socket | undefined;
    const server = await serve(t, (socket) => {
      peer = socket;
      return greet(socket);
    });
    const session = await openSession(server.url, patient);
    assert.equal(session.pid, pid);
    assert.equal(session.socket.listenerCount('data'), 0);
    peer?.write('more');
    assert.deepEqual(await once(session.socket, 'data'), [Buffer.from('more')]);
  });

  for (const [what, end] of [
    ['when more has come', [ready, said('N', 'VNOTICE\0\0')]],
    ['when another answer has come', [ready, done('SELECT 1')]],
    ['in a transaction', [said('Z', 'T')]],
    ['in a failed transaction', [said('Z', 'E')]],
  ] as const) {
    it(`does not give the socket away ${what}, and ends it`, async (t) => {
      const server = await serve(t, (socket) => greet(socket, end));
      await assert.rejects(openSession(server.url, patient), unavailable);
      await until(() => server.open() === 0);
      assert.equal(server.accepted(), 1);
    });
  }

  it('has nothing to give away before it was asked to open', () => {
    assert.throws(() => new OneSocket('postgres://127.0.0.1/db').takeOver(), unavailable);
  });

  it('opens no second socket', async (t) => {
    const server = await serve(t, () => {});
    const socket = new OneSocket(server.url);
    t.after(() => socket.destroy());
    const address = { host: ['127.0.0.1'], port: [Number(new URL(server.url).port)] };
    await socket.options.socket({ ...address, path: false });
    await assert.rejects(socket.options.socket({ ...address, path: false }), unavailable);
  });

  it('opens none again for the driver, whose connection was lost', async (t) => {
    const server = await serve(t, async (socket) => {
      await once(socket, 'data');
      socket.destroy();
    });
    await assert.rejects(openSession(server.url, patient), unavailable);
    assert.equal(server.accepted(), 1);
  });

  describe('with TLS', () => {
    /** What came, from a server that answers the offer, and whatever follows it. */
    async function answering(t: TestContext, reply: string) {
      const came: Buffer[] = [];
      const server = await serve(t, async (socket) => {
        socket.on('data', (chunk: Buffer) => came.push(chunk));
        await once(socket, 'data');
        socket.write(reply);
        await greet(socket);
      });
      return { server, came, urlFor: (mode: string) => `${server.url}?sslmode=${mode}` };
    }

    for (const mode of ['require', 'verify-ca', 'verify-full', 'unheard-of']) {
      it(`by sslmode=${mode} does not go on without`, async (t) => {
        const { server, came, urlFor } = await answering(t, 'N');
        await assert.rejects(openSession(urlFor(mode), patient), unavailable);
        await until(() => server.open() === 0);
        assert.deepEqual(Buffer.concat(came), sslRequest);
      });
    }

    for (const mode of ['prefer', 'allow']) {
      it(`by sslmode=${mode} goes on without when there is none`, async (t) => {
        const { came, urlFor } = await answering(t, 'N');
        const session = await openSession(urlFor(mode), patient);
        session.socket.destroy();
        assert.equal(session.pid, pid);
        assert.deepEqual(came[0], sslRequest);
      });
    }

    it('is not offered by sslmode=disable', async (t) => {
      const server = await serve(t, (socket) => greet(socket));
      const session = await openSession(`${server.url}?sslmode=disable`, patient);
      session.socket.destroy();
      assert.equal(session.pid, pid);
    });

    // CVE-2021-23222: what came in the clear would be believed as if it had come by TLS.
    for (const reply of ['S\0', `S${ready}`, 'N\0', 'SS', 'E', '\0']) {
      it(`does not go on behind the answer ${JSON.stringify(reply)}`, async (t) => {
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
      it(`does not wait for one who hangs up ${what}`, async (t) => {
        const server = await serve(t, async (socket) => {
          await once(socket, 'data');
          if (reply) {
            socket.write(reply);
            await once(socket, 'data');
          }
          socket.end();
        });
        await assert.rejects(openSession(`${server.url}?sslmode=require`, patient), unavailable);
      });
    }

    it('does not wait for ever for one who says nothing', async (t) => {
      const server = await serve(t, () => {});
      const hasty = { ...laneBounds, connectTimeoutMs: 50 };
      await assert.rejects(openSession(`${server.url}?sslmode=require`, hasty), unavailable);
      await until(() => server.open() === 0);
    });
  });
});

const own = selfSigned('127.0.0.1');
const skip = own ? false : 'there is no openssl command';

describe('TLS with a real server', { timeout: 60_000, skip }, () => {
  let cluster: Awaited<ReturnType<typeof startTestCluster>>;
  let folder: string;
  before(async () => {
    [cluster, folder] = await Promise.all([startTestCluster(), openFolder()]);
    if (own) await turnOnTls(cluster.url, own);
    await writeFile(trusted(), own?.certificate ?? '');
  });
  after(async () => {
    await cluster.stop();
    await rm(folder, { recursive: true });
  });

  const trusted = () => join(folder, 'trusted.pem');
  const urlFor = (mode: string, host = '127.0.0.1') =>
    `${cluster.url.replace('127.0.0.1', host)}?sslmode=${mode}`;

  for (const [mode, ssl] of [
    ['require', true],
    ['prefer', true],
    ['disable', false],
  ] as const) {
    it(`is ${ssl ? '' : 'not '}spoken by sslmode=${mode}`, async (t) => {
      const lane = await Lane.open(urlFor(mode), patient);
      t.after(() => lane.close());
      const [row] = await lane.plain`select ssl from pg_stat_ssl where pid = ${lane.pid}`;
      assert.deepEqual({ ...row }, { ssl });
    });
  }

  it('carries answers of any size, and many at once', async (t) => {
    const lane = await Lane.open(urlFor('require'), patient);
    t.after(() => lane.close());
    const sizes = [1, 100_000, 16_384, 3, 300_000];
    const answers = await Promise.all(
      sizes.map((size) => lane.plain<{ text: string }>`select repeat('é', ${size}::int) as text`),
    );
    assert.deepEqual(
      answers.map(([row]) => row?.text.length),
      sizes,
    );
  });

  for (const mode of ['verify-full', 'verify-ca']) {
    it(`by sslmode=${mode} does not believe a certificate that nobody has signed`, async () => {
      const opening = openSession(urlFor(mode), patient);
      await assert.rejects(opening, { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
    });
  }

  for (const [host, outcome] of [
    ['127.0.0.1', 'opened'],
    ['localhost', 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ] as const) {
    it(`by sslmode=verify-full asks for the address that it was told: ${host}`, async () => {
      const { PATH = '' } = process.env;
      const args = ['--import', 'tsx', 'test/support/session_process.ts'];
      const { stdout } = await promisify(execFile)(
        process.execPath,
        [...args, urlFor('verify-full', host)],
        { env: { PATH, NODE_EXTRA_CA_CERTS: trusted() } },
      );
      assert.equal(stdout, outcome);
    });
  }
});

/** Through the server, to which the files have to belong. */
async function turnOnTls(url: string, { key, certificate }: SelfSigned): Promise<void> {
  await lookInto(url, async (sql) => {
    for (const [name, pem] of Object.entries({ 'server.key': key, 'server.crt': certificate })) {
      await sql.unsafe(`copy (select unnest(string_to_array(trim('${pem}'), e'\\n')))
        to program 'umask 077; cat > ${name}'`);
    }
    await sql`alter system set ssl = on`;
    await sql`select pg_reload_conf()`;
  });
  await until(() => lookInto(url, async (sql) => (await sql`show ssl`)[0]?.ssl === 'on'));
}
