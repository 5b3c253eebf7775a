/**
 * Reads the URL of the mail server. nodemailer itself would accept any option from the URL's query, even
 * its timeouts.
 *
 * Source: https://nodemailer.com/smtp/
 */
import { isIP } from 'node:net';

export type SmtpServer = {
  host: string;
  port?: number;
  /** TLS from the first byte. */
  secure: boolean;
  auth?: { user: string; pass: string };
  name?: string;
  requireTLS?: boolean;
  ignoreTLS?: boolean;
  tls: { rejectUnauthorized: boolean; servername?: string };
};

/** @throws {Error} that names the expected form, and never quotes a value, which may be secret. */
export function smtpServer(text: string): SmtpServer {
  const { protocol, hostname, port, username, password, searchParams } = parsed(text);
  const {
    name,
    requireTLS,
    ignoreTLS,
    'tls.rejectUnauthorized': checked,
    'tls.servername': servername,
    ...unknown
  } = Object.fromEntries(searchParams);
  if (Object.keys(unknown).length > 0) {
    throw new Error('expected no parameters but name, requireTLS, ignoreTLS and those of tls');
  }
  // Only a URL has brackets around an IPv6 address.
  const host = decodeURIComponent(hostname).replace(/^\[(.*)\]$/, '$1');
  const asked = servername ?? (isIP(host) ? undefined : host);
  return {
    host,
    ...(port !== '' && { port: Number(port) }),
    secure: protocol === 'smtps:',
    ...(username && {
      auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) },
    }),
    ...(name !== undefined && { name }),
    requireTLS: isYes(requireTLS, false),
    ignoreTLS: isYes(ignoreTLS, false),
    tls: {
      rejectUnauthorized: isYes(checked, true),
      ...(asked !== undefined && { servername: asked }),
    },
  };
}

function isYes(text: string | undefined, otherwise: boolean): boolean {
  if (text === undefined) return otherwise;
  if (/^(true|1|yes)$/.test(text)) return true;
  if (/^(false|0|no)$/.test(text)) return false;
  throw new Error('expected true or false for its parameters');
}

function parsed(text: string): URL {
  try {
    const url = new URL(text);
    decodeURIComponent(`${url.username}${url.password}${url.hostname}`);
    const isBare = url.pathname === '' || url.pathname === '/';
    if (/^smtps?:$/.test(url.protocol) && url.hostname !== '' && isBare) return url;
  } catch {
    // Thrown below.
  }
  throw new Error('expected a URL such as smtp://user:password@host:587');
}
