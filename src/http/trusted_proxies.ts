/**
 * `X-Forwarded-For` and `X-Forwarded-Host`, used only as far as proxies are trusted. Both are read from
 * the right: a proxy appends, so entries further left may be invented by the client.
 */
import { BlockList, isIP } from 'node:net';

/**
 * Returns the proxies of a list of addresses and CIDR ranges.
 *
 * @throws {Error} when an entry is neither.
 */
export function trustedProxies(cidrs: readonly string[]): BlockList {
  const proxies = new BlockList();
  for (const cidr of cidrs) {
    const [, address = '', prefix] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(cidr) ?? [];
    const widest = isIP(address) === 4 ? 32 : 128;
    const bits = Number(prefix ?? widest);
    if (isIP(address) === 0 || bits > widest) {
      throw new Error(
        `Cannot trust the proxy "${cidr}": it is neither an address nor a CIDR range`,
      );
    }
    proxies.addSubnet(address, bits, family(address));
  }
  return proxies;
}

/** Whether the headers that this peer adds are used. */
export function isTrusted(proxies: BlockList, address: string): boolean {
  return isIP(address) !== 0 && proxies.check(address, family(address));
}

/** Returns the client's address: from the peer leftwards through the hops, the first untrusted one. */
export function clientAddress(
  proxies: BlockList,
  peer: string,
  forwardedFor: readonly string[],
): string {
  let address = peer;
  // Empty entries of a list are ignored (RFC 9110, section 5.6.1).
  const hops = forwardedFor.flatMap(listed).filter((entry) => entry !== '');
  for (const hop of hops.reverse()) {
    const node = isTrusted(proxies, address) ? nodeName(hop) : null;
    if (node === null) break;
    address = node;
  }
  return address;
}

const withPort = /^"?(?:\[([^\]]+)\]|([\d.]+))(?::(?:\d{1,5}|_[\w.-]+))?"?$/;

const obfuscated = /^_[\w.-]{1,63}$/;

/**
 * Returns the address of a hop, without port and brackets, or the id that a proxy uses instead (RFC 7239,
 * section 6). Null for `unknown` and for any other text.
 */
function nodeName(hop: string): string | null {
  if (obfuscated.test(hop)) return hop;
  const [, ipv6, ipv4] = withPort.exec(hop) ?? [];
  const address = ipv6 ?? ipv4 ?? hop;
  return isIP(address) === 0 ? null : plainAddress(address);
}

/** Returns the host that the client requested from the trusted peer, or null when it names none. */
export function forwardedHost(values: readonly string[]): string | null {
  return values.flatMap(listed).at(-1) ?? null;
}

/**
 * Returns the usual form of an address: an IPv6 socket shows IPv4 clients as `::ffff:192.0.2.1`.
 *
 * @example plainAddress('::ffff:192.0.2.1') // '192.0.2.1'
 */
export function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, '');
}

function listed(value: string): string[] {
  return value.split(',').map((entry) => entry.trim());
}

function family(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 4 ? 'ipv4' : 'ipv6';
}
