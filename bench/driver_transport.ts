/** A Unix socket for the driver, which would look the folder in a URL up as a name. */
import { partsOf } from '../src/postgres/session_url.ts';

/** What the driver needs to be told besides the URL. */
export function transportOf(url: string): { path?: string; ssl?: false } {
  const [host] = partsOf(url).options.hosts;
  return host && 'path' in host ? { path: host.path, ssl: false } : {};
}
