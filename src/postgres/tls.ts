/**
 * TLS with Postgres: the question whether the server speaks it, and the handshake, by what the URL asks
 * for.
 *
 * Source: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL and
 * https://www.postgresql.org/docs/current/libpq-ssl.html
 */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { isIP, type Socket } from 'node:net';
import { connect, createSecureContext, type SecureContextOptions, type TLSSocket } from 'node:tls';
import type { TlsOptions } from './connection_options.ts';
import { ConnectionUrlError } from './connection_url.ts';
import { sslRequest } from './protocol/messages.ts';
import { SocketReader } from './socket_reader.ts';

/** The handshake failed: by `sslmode=prefer` there is another try without TLS. */
export class HandshakeError extends Error {
  override readonly name = 'HandshakeError';
}

/** The protocol's name in TLS (ALPN): no server of another protocol can be made to answer. */
const protocol = 'postgresql';

/**
 * Asks whether the server speaks TLS.
 *
 * @throws {Error} for any answer but yes or no, and when there is one byte more: what came in plain text
 *   would pass for secured (CVE-2021-23222).
 */
export async function offersTls(socket: Socket): Promise<boolean> {
  socket.write(sslRequest);
  const reader = new SocketReader(socket);
  try {
    const reply = String(await reader.bytes(1));
    if (reader.waiting === 0 && (reply === 'S' || reply === 'N')) return reply === 'S';
    throw new Error('what answers there does not speak TLS as Postgres does');
  } finally {
    reader.release();
  }
}

/** What the files that the URL names say, as node wants it. Read each time: certificates are renewed. */
export async function readTlsFiles(tls: TlsOptions): Promise<SecureContextOptions> {
  const texts = filesOf(tls).map(async ([name, path]) => [name, await readFile(path)]);
  return contextOptions(tls, Object.fromEntries(await Promise.all(texts)));
}

/** @throws {ConnectionUrlError} for a file that is not there, or is not what it should be. */
export function assertTlsFiles(tls: TlsOptions): void {
  try {
    const texts = filesOf(tls).map(([name, path]) => [name, readFileSync(path)]);
    const files: Files = Object.fromEntries(texts);
    createSecureContext(contextOptions(tls, files));
    // OpenSSL would take a file without any certificate, and then believe no server.
    if (files.ca instanceof Buffer) new X509Certificate(files.ca);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : error;
    throw new ConnectionUrlError(`expected readable TLS files in it (${code})`);
  }
}

type Files = Pick<SecureContextOptions, 'ca' | 'crl' | 'cert' | 'key'>;

function filesOf({ rootCertificates, revocations, client }: TlsOptions): [keyof Files, string][] {
  return [
    ...named('ca', rootCertificates),
    ...named('crl', revocations),
    ...named('cert', client?.certificate),
    ...named('key', client?.key),
  ];
}

function named(name: keyof Files, path: string | null | undefined): [keyof Files, string][] {
  return path ? [[name, path]] : [];
}

function contextOptions(
  { client, minVersion, maxVersion }: TlsOptions,
  files: Files,
): SecureContextOptions {
  return {
    ...files,
    ...(client?.passphrase !== undefined && { passphrase: client.passphrase }),
    ...(minVersion && { minVersion }),
    ...(maxVersion && { maxVersion }),
  };
}

/**
 * Secures a connection.
 *
 * @param host whose name the certificate must bear by `verify-full`.
 * @throws {HandshakeError} with the cause, when it can't be done.
 */
export async function secured(
  socket: Socket,
  host: string,
  tls: TlsOptions & { files: SecureContextOptions },
): Promise<TLSSocket> {
  const secure = connect({
    socket,
    ...tls.files,
    ALPNProtocols: [protocol],
    // An address has no `servername`, and node would ask the certificate for "localhost".
    host,
    ...(tls.namesHost && !isIP(host) && { servername: host }),
    rejectUnauthorized: tls.mode.startsWith('verify-'),
    // `verify-ca` asks who has signed, and not for whom.
    ...(tls.mode === 'verify-ca' && { checkServerIdentity: () => undefined }),
  });
  await handshake(secure);
  if (!tls.isDirect || secure.alpnProtocol === protocol) return secure;
  secure.destroy();
  throw new HandshakeError('what answers there is no Postgres');
}

function handshake(secure: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (cause?: Error) => {
      reject(new HandshakeError(cause?.message ?? 'the server ended the TLS handshake', { cause }));
    };
    // For as long as the socket lives: an error that nobody hears ends the process.
    secure.on('error', fail).once('close', () => fail());
    secure.once('secureConnect', resolve);
  });
}
