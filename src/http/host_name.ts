/**
 * The name of the host that a request was sent to. Not read by `new URL()`, because that repairs invalid
 * hosts instead of refusing them.
 */
import { isIPv6 } from 'node:net';
import { Refusal } from '../kernel/errors.ts';

// Labels of RFC 1035, and the underscore, which names in container networks may have. A port may be
// empty or begin with zeros (RFC 3986, section 3.2.3).
const hostPattern = /^([a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?|\[([0-9a-f:.]+)\])(?::(\d*))?$/i;

const longestName = 253;
const highestPort = 65_535;

/**
 * Returns the host without its port, in lower case.
 *
 * @example hostName('Acme.localhost:8080') // 'acme.localhost'
 * @throws {Refusal} `malformed` when it is not a plain host.
 */
export function hostName(host: string): string {
  const [, sent = '', ipv6, port = ''] = hostPattern.exec(host) ?? [];
  // A name with a dot at the end is the same name, written in full (RFC 1034, section 3.1).
  const name = sent.toLowerCase().replace(/\.$/, '');
  const plain = name !== '' && name.length <= longestName && (ipv6 === undefined || isIPv6(ipv6));
  if (plain && isPort(port)) return name;
  throw new Refusal('malformed', {
    detail: 'Cannot read the request: it needs one Host header with a plain host',
  });
}

function isPort(port: string): boolean {
  return port === '' || (Number(port) >= 1 && Number(port) <= highestPort);
}
