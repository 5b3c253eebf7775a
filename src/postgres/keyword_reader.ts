/**
 * Reads the keywords of a database URL, and refuses those that are left over. Each keyword of libpq is
 * used, ignored because it has no effect here, or refused with a reason.
 *
 * Source: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
 */
import { ConnectionUrlError, type Keywords } from './connection_url.ts';

/** Keywords without effect: Kennel or the operating system sets the value, or it belongs to GSSAPI. */
const ignored = new Set([
  'application_name',
  'fallback_application_name',
  'client_encoding',
  'keepalives_interval',
  'keepalives_count',
  'tcp_user_timeout',
  'load_balance_hosts',
  'sslcompression',
  'krbsrvname',
  'gsslib',
  'gssdelegation',
  'max_protocol_version',
]);

/** Keywords that must not be ignored, because that would be dangerous or misleading. */
const refused: Readonly<Record<string, string>> = {
  options: 'Kennel sets its sessions itself',
  passfile: 'give the password in the URL',
  requirepeer: 'the owner of a socket cannot be checked',
  replication: 'sessions for replication run no statements',
  service: 'service files are not read',
  servicefile: 'service files are not read',
  sslcrldir: 'give one file as sslcrl',
  sslkeylogfile: 'keys are not written to files',
};

/** Every keyword that was read is known; all others are refused at the end. */
export class KeywordReader {
  readonly #keywords: Keywords;
  readonly #left: Set<string>;

  constructor(keywords: Keywords) {
    this.#keywords = keywords;
    this.#left = new Set(Object.keys(keywords).filter((name) => !ignored.has(name)));
  }

  /** Returns a value. An empty one counts as absent, as it does for libpq. */
  text(name: string): string | undefined {
    this.#left.delete(name);
    return this.#keywords[name] || undefined;
  }

  list(name: string): string[] {
    return this.text(name)?.split(',') ?? [];
  }

  integer(name: string): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    return /^\s*-?\d{1,9}\s*$/.test(text) ? Number(text) : fail(`expected an integer as ${name}`);
  }

  oneOf<Value extends string>(name: string, values: readonly Value[], otherwise: Value): Value {
    return this.optional(name, values) ?? otherwise;
  }

  optional<Value extends string>(name: string, values: readonly Value[]): Value | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = values.find((one) => one === text);
    return value ?? fail(`expected ${values.join(', ')} as ${name}`);
  }

  /** @throws {ConnectionUrlError} for a keyword that was not read. */
  assertDone(): void {
    for (const name of this.#left) {
      const reason = refused[name];
      if (reason) fail(`expected no ${name} in it: ${reason}`);
      fail(`expected libpq's parameters alone${/^\w{1,40}$/.test(name) ? `, not ${name}` : ''}`);
    }
  }
}

/** @throws {ConnectionUrlError} always. */
export function fail(message: string): never {
  throw new ConnectionUrlError(message);
}
