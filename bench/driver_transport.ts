/** Options for a Unix socket: the driver would use the folder in a URL as a host name. */
import { parseSessionUrl } from '../src/postgres/session_url.ts';

/** Returns driver options that the URL cannot express. */
export function transportOf(url: string): { path?: string; ssl?: false } {
  const [host] = parseSessionUrl(url).options.hosts;
  return host && 'path' in host ? { path: host.path, ssl: false } : {};
}
