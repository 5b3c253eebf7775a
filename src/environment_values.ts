/** How the values of environment variables are read, and what is said of one that is wrong. */
import type { BlockList } from 'node:net';
import { resolve } from 'node:path';
import * as v from 'valibot';
import { parseOrigin } from './http/cors.ts';
import { trustedProxies } from './http/trusted_proxies.ts';
import { connectionOptions } from './postgres/connection_options.ts';
import { ConnectionUrlError, keywordsIn } from './postgres/connection_url.ts';
import { targetOf } from './postgres/session_url.ts';
import { assertTlsFiles } from './postgres/tls.ts';

/** Digits alone: no sign, no fraction. */
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

/** A text that `read` understands; what it throws must name no value, which may be secret. */
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

/** They belong to the server: new databases are copies of one, and every tool begins in another. */
const databasesOfServer: ReadonlySet<string> = new Set(['postgres', 'template0', 'template1']);

/** The canonical URL of a database that can be asked for, whose files are there. */
export function databaseUrl(text: string): string {
  const keywords = keywordsIn(text);
  const { tls, database } = connectionOptions(keywords);
  if (databasesOfServer.has(database)) {
    throw new ConnectionUrlError(
      `expected a database of its own, and "${database}" is the server's; make one with: create database kennel`,
    );
  }
  assertTlsFiles(tls);
  return targetOf(keywords);
}

const commaSeparated = v.transform((text: string) =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== ''),
);

/** A token that is too long to be guessed; `openssl rand -hex 32` makes one. */
export const operatorToken = v.pipe(
  v.string(),
  v.regex(/^[\x21-\x7e]{32,}$/, 'expected at least 32 visible ASCII characters without spaces'),
);

/** An absolute path. Postgres keeps it in a file of lines, and messages are lines too. */
export const folder = v.pipe(
  v.string(),
  v.transform((path) => resolve(path)),
  v.regex(/^\P{Cc}+$/u, 'expected a path without line breaks and other control characters'),
);

/** The ways to name a tenant. */
export const strategies = ['subdomain', 'path', 'header'] as const;
export type Strategy = (typeof strategies)[number];

/** Some of them, each once. */
export const resolution = v.pipe(
  v.string(),
  commaSeparated,
  v.array(v.picklist(strategies, 'expected a list of subdomain, path and header')),
  v.minLength(1, 'expected a list of subdomain, path and header'),
  v.check((list) => new Set(list).size === list.length, 'expected each strategy once'),
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
