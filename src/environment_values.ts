/** Schemas for the values of environment variables, with their error messages. */
import { type BlockList, isIP } from 'node:net';
import { resolve } from 'node:path';
import * as v from 'valibot';
import { parseOrigin } from './http/cors.ts';
import { trustedProxies } from './http/trusted_proxies.ts';
import { connectionOptions } from './postgres/connection_options.ts';
import { ConnectionUrlError, keywordsIn } from './postgres/connection_url.ts';
import { sessionUrlOf } from './postgres/session_url.ts';
import { assertTlsFiles } from './postgres/tls.ts';

/** An integer written in digits only: no sign, no fraction. */
export const integer = (least: number, most: number) => {
  const message = `expected an integer from ${least} to ${most}`;
  return v.pipe(
    v.string(),
    v.regex(/^\d{1,9}$/, message),
    v.transform(Number),
    v.minValue(least, message),
    v.maxValue(most, message),
  );
};

/** A text that `read` parses. Its errors must not contain the value, which may be secret. */
export const readBy = <Output>(read: (text: string) => Output) =>
  v.pipe(
    v.string(),
    v.rawTransform<string, Output>(({ dataset, addIssue, NEVER }) => {
      try {
        return read(dataset.value);
      } catch (error) {
        addIssue({ message: error instanceof Error ? error.message : String(error) });
        return NEVER;
      }
    }),
  );

/** Databases that belong to the server: new databases are copies of a template, and tools use `postgres`. */
const databasesOfServer: ReadonlySet<string> = new Set(['postgres', 'template0', 'template1']);

/**
 * The canonical URL of a database.
 *
 * @throws {Error} when the URL is invalid, names a database of the server, or a TLS file is missing.
 */
export function databaseUrl(text: string): string {
  const keywords = keywordsIn(text);
  const { tls, database } = connectionOptions(keywords);
  if (databasesOfServer.has(database)) {
    throw new ConnectionUrlError(
      `expected a database of its own, but "${database}" belongs to the server; create one with: create database kennel`,
    );
  }
  assertTlsFiles(tls);
  return sessionUrlOf(keywords);
}

const commaSeparated = v.transform((text: string) =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== ''),
);

/** A token that is too long to guess; `openssl rand -hex 32` makes one. */
export const operatorToken = v.pipe(
  v.string(),
  v.regex(/^[\x21-\x7e]{32,}$/, 'expected at least 32 visible ASCII characters without spaces'),
);

/** An absolute path without line breaks: Postgres writes it to a file that is read line by line. */
export const folder = v.pipe(
  v.string(),
  v.transform((path) => resolve(path)),
  v.regex(/^\P{Cc}+$/u, 'expected a path without line breaks and other control characters'),
);

/** The names of the tenant resolvers, one for each way to name a tenant. */
export const tenantResolverNames = ['subdomain', 'path', 'header'] as const;
export type TenantResolverName = (typeof tenantResolverNames)[number];

/** A list of them, each at most once. */
export const resolution = v.pipe(
  v.string(),
  commaSeparated,
  v.array(v.picklist(tenantResolverNames, 'expected a list of subdomain, path and header')),
  v.minLength(1, 'expected a list of subdomain, path and header'),
  v.check((list) => new Set(list).size === list.length, 'expected each strategy once'),
);

/** An address to listen on, or a name that is looked up. */
export const host = v.pipe(
  v.string(),
  v.check(
    (text) => isIP(text) !== 0 || (/^[\w.-]+$/.test(text) && !/^[\d.]+$/.test(text)),
    'expected an IP address or the name of a host, without a port',
  ),
);

/** A domain without a port, in lower case. */
export const domain = v.pipe(
  v.string(),
  v.toLowerCase(),
  v.regex(
    /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/,
    'expected a domain such as petstore.example',
  ),
);

/** The networks of proxies whose `X-Forwarded-*` headers are believed. */
export const proxies = v.pipe(
  v.string(),
  commaSeparated,
  v.rawTransform<string[], BlockList>(({ dataset, addIssue, NEVER }) => {
    try {
      return trustedProxies(dataset.value);
    } catch {
      addIssue({ message: 'expected a list of CIDR ranges such as 10.0.0.0/8' });
      return NEVER;
    }
  }),
);

/** The origins of web pages that may send requests from a browser. */
export const origins = v.pipe(
  v.string(),
  commaSeparated,
  v.rawTransform<string[], ReadonlySet<string>>(({ dataset, addIssue, NEVER }) => {
    const origins = dataset.value.map(parseOrigin).filter((origin) => origin !== null);
    if (origins.length === dataset.value.length) return new Set(origins);
    addIssue({ message: 'expected a list of origins such as https://app.example' });
    return NEVER;
  }),
);
