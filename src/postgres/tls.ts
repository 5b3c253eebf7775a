/**
 * TLS with Postgres: the request for it, and the handshake with the options of the URL.
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
import { codeOf } from './errors.ts';
import { sslRequest } from './protocol/messages.ts';
import { SocketReader } from './socket_reader.ts';

/** The handshake failed. With `sslmode=prefer` the connection is tried again without TLS. */
export class HandshakeError extends Error {
  override readonly name = 'HandshakeError';
}

/** The protocol's name in TLS (ALPN): traffic cannot be redirected to a server of another protocol. */
const protocol = 'postgresql';

/**
 * Asks the server for TLS. Returns whether it agrees.
 *
 * @throws {Error} for any reply but yes or no, and for one byte more: unencrypted bytes would be read as
 *   if they had been sent over TLS (CVE-2021-23222).
 */
export async function offersTls(socket: Socket): Promise<boolean> {
  socket.write(sslRequest);
  const reader = new SocketReader(socket);
  try {
    const reply = String(await reader.bytes(1));
    if (reader.waiting === 0 && (reply === 'S' || reply === 'N')) return reply === 'S';
    throw new Error('the server does not speak TLS as Postgres does');
  } finally {
    reader.release();
  }
}

/** Reads the files that the URL names. They are read for each connection, because certificates are renewed. */
export async function readTlsFiles(tls: TlsOptions): Promise<SecureContextOptions> {
  const texts = filesOf(tls).map(async ([name, path]) => [name, await contentOf(path)]);
  return contextOptions(tls, Object.fromEntries(await Promise.all(texts)));
}

/** @throws {Error} without the code, which would say that a socket is missing. */
async function contentOf(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new Error(`a TLS file of the URL cannot be read (${codeOf(error)})`);
  }
}

/** @throws {ConnectionUrlError} for a file that is missing or invalid. */
export function assertTlsFiles(tls: TlsOptions): void {
  try {
    const texts = filesOf(tls).map(([name, path]) => [name, readFileSync(path)]);
    const files: Files = Object.fromEntries(texts);
    // A context takes 20 ms to make, and without files nothing in it can be wrong.
    if (texts.length === 0) return;
    createSecureContext(contextOptions(tls, files));
    // OpenSSL accepts a file without any certificate, and then trusts no server.
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
 * Does the TLS handshake and returns the encrypted socket.
 *
 * @param host the name that the certificate must have with `verify-full`.
 * @throws {HandshakeError} with the cause.
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
    // An IP address has no `servername`. Without `host` node would compare the certificate with "localhost".
    host,
    ...(tls.namesHost && !isIP(host) && { servername: host }),
    rejectUnauthorized: tls.mode.startsWith('verify-'),
    // `verify-ca` checks the issuer of the certificate, and not its name.
    ...(tls.mode === 'verify-ca' && { checkServerIdentity: () => undefined }),
  });
  await handshake(secure);
  if (!tls.isDirect || secure.alpnProtocol === protocol) return secure;
  secure.destroy();
  throw new HandshakeError('the server is not Postgres');
}

function handshake(secure: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (cause?: Error) => {
      reject(new HandshakeError(cause?.message ?? 'the server ended the TLS handshake', { cause }));
    };
    // For the socket's whole life: an error event without a listener ends the process.
    secure.on('error', fail).once('close', () => fail());
    secure.once('secureConnect', resolve);
  });
}
