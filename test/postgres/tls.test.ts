/**
 * TLS with a real server: which certificates are trusted, how a login works, and that no refusal
 * ends the process.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import { connect as connectPlain, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { connect, TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { nodeScript } from '../../bench/node_script.ts';
import type { Refusal } from '../../src/kernel/errors.ts';
import { openSession } from '../../src/postgres/connect.ts';
import { Connection } from '../../src/postgres/connection.ts';
import { sslRequest } from '../../src/postgres/protocol/messages.ts';
import { connectionLimits } from '../support/connection.ts';
import { selfSigned } from '../support/self_signed.ts';
import { lookInto } from '../support/sql.ts';
import { startTcpServer } from '../support/tcp_server.ts';
import { openFolder, startTestCluster } from '../support/test_cluster.ts';
import { turnOnTls } from '../support/tls_server.ts';

/** A wait longer than this fails the suite. */
const patient = { ...connectionLimits, connectTimeoutMs: 60_000 };

const own = selfSigned('127.0.0.1');
const other = selfSigned('127.0.0.1');
const skip = own && other ? false : 'there is no openssl command';

/** Roles that pg_hba.conf admits by one method each. */
const rules = [
  'host all rejected all reject',
  'hostssl all tls_alone all scram-sha-256',
  'host all tls_alone all reject',
  'hostnossl all plain_alone all scram-sha-256',
  'host all plain_alone all reject',
  'host all by_md5 all md5',
  'host all by_password all password',
  'host all by_trust all trust',
  'hostssl all by_certificate all trust clientcert=verify-ca',
];

describe('TLS with a real server', { timeout: 120_000, skip }, () => {
  let cluster: Awaited<ReturnType<typeof startTestCluster>>;
  let folder: string;
  before(async () => {
    [cluster, folder] = await Promise.all([startTestCluster(), openFolder()]);
    if (!own || !other) return;
    await lookInto(cluster.url, async (sql) => {
      for (const rule of rules) {
        const [, , role = ''] = rule.split(' ');
        const scheme = role === 'by_md5' ? 'md5' : 'scram-sha-256';
        await sql.unsafe(`do $$ begin
          set local password_encryption = '${scheme}';
          create role ${role} login password 'pä ss' connection limit 100;
        exception when duplicate_object then null; end $$`);
      }
      await sql`create role no_room login password 'pä ss' connection limit 0`;
      await sql`create database closed allow_connections false`;
    });
    await turnOnTls(cluster.url, own, rules);
    for (const [name, { key, certificate }] of Object.entries({ own, other })) {
      await writeFile(fileOf(`${name}.pem`), certificate);
      await writeFile(fileOf(`${name}.key`), key);
    }
  });
  after(async () => {
    await cluster.stop();
    await rm(folder, { recursive: true });
  });

  const fileOf = (name: string) => join(folder, name);

  function urlFor(query: string, changes: { host?: string; user?: string; port?: string } = {}) {
    const url = new URL(cluster.url);
    if (changes.host) url.hostname = changes.host;
    if (changes.port) url.port = changes.port;
    if (changes.user) [url.username, url.password] = [changes.user, 'pä ss'];
    return `${url.href}?${query}`;
  }

  /**
   * Opens a connection in this process.
   *
   * @returns what `pg_stat_ssl` says of it.
   */
  async function secured(t: TestContext, url: string) {
    const connection = await Connection.open(url, patient);
    t.after(() => connection.close());
    const [row] = await connection.plain<{ ssl: boolean; subject: string | null }>`
      select ssl, client_dn as subject from pg_stat_ssl where pid = ${connection.pid}`;
    return row ?? assert.fail();
  }

  async function refuses(url: string, cause: RegExp): Promise<void> {
    await assert.rejects(openSession(url, patient), (error: Refusal) => {
      assert.equal(error.code, 'unavailable');
      assert.match(error.cause instanceof Error ? error.cause.message : '', cause);
      return true;
    });
  }

  for (const [query, ssl] of [
    ['sslmode=require', true],
    ['sslmode=require&sslnegotiation=direct', true],
    ['sslmode=prefer', true],
    ['', true],
    ['sslmode=allow', false],
    ['sslmode=disable', false],
  ] as const) {
    it(`is ${ssl ? '' : 'not '}used with "${query}"`, async (t) => {
      assert.equal((await secured(t, urlFor(query))).ssl, ssl);
    });
  }

  it("follows the server's rules with sslmode=allow and prefer, and not with require and disable", async (t) => {
    assert.equal((await secured(t, urlFor('sslmode=allow', { user: 'tls_alone' }))).ssl, true);
    assert.equal((await secured(t, urlFor('sslmode=prefer', { user: 'plain_alone' }))).ssl, false);
    await refuses(urlFor('sslmode=require', { user: 'plain_alone' }), /pg_hba.conf rejects/);
    await refuses(urlFor('sslmode=disable', { user: 'tls_alone' }), /pg_hba.conf rejects/);
  });

  it('carries results of any size, and many at once', async (t) => {
    const connection = await Connection.open(urlFor('sslmode=require'), patient);
    t.after(() => connection.close());
    const sizes = [1, 100_000, 16_384, 3, 300_000];
    const answers = await Promise.all(
      sizes.map(
        (size) => connection.plain<{ text: string }>`select repeat('é', ${size}::int) as text`,
      ),
    );
    assert.deepEqual(
      answers.map(([row]) => row?.text.length),
      sizes,
    );
  });

  describe('accepts', () => {
    for (const [mode, root, host, accepted] of [
      ['verify-full', 'own', '127.0.0.1', true],
      ['verify-full', 'own', 'localhost', false],
      ['verify-full', 'other', '127.0.0.1', false],
      ['verify-full', 'system', '127.0.0.1', false],
      ['verify-ca', 'own', '127.0.0.1', true],
      ['verify-ca', 'own', 'localhost', true],
      ['verify-ca', 'other', '127.0.0.1', false],
      ['require', 'other', '127.0.0.1', false],
      ['require', '', 'localhost', true],
    ] as const) {
      it(`${accepted ? 'a' : 'no'} server ${host} with sslmode=${mode} and root "${root}"`, async (t) => {
        const file = root === 'system' ? root : fileOf(`${root}.pem`);
        const url = urlFor(`sslmode=${mode}${root && `&sslrootcert=${encodeURIComponent(file)}`}`, {
          host,
        });
        if (accepted) assert.equal((await secured(t, url)).ssl, true);
        else await refuses(url, /self-signed certificate|does not match certificate's altnames/);
      });
    }

    it('with sslrootcert=system the authorities that node trusts', async () => {
      const { PATH = '' } = process.env;
      const env = { PATH, NODE_EXTRA_CA_CERTS: fileOf('own.pem') };
      const urls = ['127.0.0.1', 'localhost'].map((host) => urlFor('sslrootcert=system', { host }));
      assert.deepEqual(await inChild(urls, env), ['opened', 'ERR_TLS_CERT_ALTNAME_INVALID']);
    });
  });

  it('sends the client certificate of the URL', async (t) => {
    const query = `sslmode=require&sslcert=${fileOf('own.pem')}&sslkey=${fileOf('own.key')}`;
    const user = 'by_certificate';
    assert.equal((await secured(t, urlFor(query, { user }))).subject, '/CN=kennel test');
    await refuses(urlFor('sslmode=require', { user }), /certificate/);
    await refuses(urlFor(`${query}&sslcertmode=disable`, { user }), /certificate/);
  });

  describe('a login', () => {
    for (const [user, query] of [
      ['tls_alone', 'sslmode=require&channel_binding=require&require_auth=scram-sha-256'],
      ['tls_alone', 'sslmode=require&channel_binding=disable'],
      ['by_md5', 'sslmode=disable'],
      ['by_password', 'sslmode=require'],
      ['by_trust', 'sslmode=disable'],
    ] as const) {
      it(`succeeds as ${user} with ${query}`, async (t) =>
        void (await secured(t, urlFor(query, { user }))));
    }

    for (const [user, query, cause] of [
      ['plain_alone', 'sslmode=disable&channel_binding=require', /channel binding|as the URL asks/],
      ['by_md5', 'sslmode=require&channel_binding=require', /channel binding/],
      ['by_trust', 'sslmode=require&channel_binding=require', /channel binding/],
      ['by_trust', 'require_auth=scram-sha-256', /require_auth/],
      ['by_password', 'require_auth=!password', /require_auth/],
    ] as const) {
      it(`fails as ${user} with ${query}`, () => refuses(urlFor(query, { user }), cause));
    }

    it('fails through a man in the middle', async (t) => {
      const port = await interposed(t);
      await refuses(urlFor('sslmode=require', { port }), /channel binding|SCRAM/);
      await refuses(urlFor('sslmode=require&channel_binding=require', { port }), /SCRAM|binding/);
    });

    it('control: succeeds through a man in the middle without channel binding', async (t) => {
      const port = await interposed(t);
      const url = urlFor('sslmode=require&channel_binding=disable', { port });
      assert.equal((await secured(t, url)).ssl, true);
    });
  });

  /**
   * A server with its own certificate that passes everything on.
   *
   * @returns its port.
   */
  async function interposed(t: TestContext): Promise<string> {
    const server = await startTcpServer((socket) => void passOn(socket));
    t.after(() => server.close());
    return new URL(server.url).port;
  }

  async function passOn(socket: Socket): Promise<void> {
    await once(socket, 'data');
    socket.write('S');
    const near = new TLSSocket(socket, {
      isServer: true,
      key: other?.key,
      cert: other?.certificate,
    });
    const upstream = connectPlain(Number(new URL(cluster.url).port), '127.0.0.1');
    upstream.write(sslRequest);
    await once(upstream, 'data');
    const far = connect({ socket: upstream, rejectUnauthorized: false });
    for (const stream of [near, far, upstream]) stream.on('error', () => {});
    near.pipe(far).pipe(near);
  }

  /** In a separate process, which must be alive at the end. */
  async function inChild(urls: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string[]> {
    const args = [...nodeScript('test/support/session_process.ts'), ...urls];
    const { PATH = '' } = process.env;
    const { stdout } = await promisify(execFile)(process.execPath, args, { env: { PATH, ...env } });
    return stdout.trim().split('\n');
  }

  it('does not end the process with any refusal', async (t) => {
    const http = await startTcpServer((socket) => {
      socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    });
    const resetting = await startTcpServer((socket) => {
      socket.once('data', () => socket.write('S', () => socket.resetAndDestroy()));
    });
    t.after(() => {
      http.close();
      resetting.close();
    });
    const tls = urlFor('sslmode=require');
    const fault = (change: (url: URL) => void) => {
      const url = new URL(tls);
      change(url);
      return url.href;
    };
    const port = (server: { url: string }) => new URL(server.url).port;
    const cases: [string, RegExp][] = [
      [fault((url) => Object.assign(url, { pathname: '/no_such' })), /^3D000$/],
      [fault((url) => Object.assign(url, { pathname: '/closed' })), /^55000$/],
      [fault((url) => Object.assign(url, { password: 'wrong' })), /^28P01$/],
      [fault((url) => Object.assign(url, { username: 'rejected' })), /^28000$/],
      [urlFor('sslmode=require', { user: 'no_room' }), /^53300$/],
      [fault((url) => Object.assign(url, { port: '1' })), /^ECONNREFUSED$/],
      [fault((url) => Object.assign(url, { port: port(http) })), /does not speak TLS/],
      [fault((url) => Object.assign(url, { port: port(resetting) })), /ECONNRESET|ended|socket/],
      [tls, /^opened$/],
    ];
    const outcomes = await inChild(cases.map(([url]) => url));
    assert.equal(outcomes.length, cases.length);
    for (const [at, [, expected]] of cases.entries()) assert.match(outcomes[at] ?? '', expected);
  });
});
