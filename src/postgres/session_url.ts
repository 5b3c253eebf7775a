/**
 * Session URLs, by which pools find their connections. Kennel's own parameters are the name of the server, if it is
 * not the main one, and settings at the start of the session.
 */
import { mainServer } from '../kernel/tenant.ts';
import { type ConnectionOptions, connectionOptions } from './connection_options.ts';
import { type Keywords, keywordsIn, urlOf } from './connection_url.ts';

/**
 * A canonical database URL with Kennel's own parameters. Two sessions with equal URLs are interchangeable.
 * Contains the password: never log it.
 */
export type SessionUrl = string;

/** The settings at the start of a session of one tenant alone. An operator's URL may not have them. */
const ownSettings = ['search_path', 'kennel.tenant'] as const;

export type OwnSettings = Partial<Record<(typeof ownSettings)[number], string>>;

const serverParameter = 'kennel.server';
const serverMark = `${serverParameter}=`;

export function sessionUrlOf(
  keywords: Keywords,
  { server = mainServer, settings = {} }: { server?: string; settings?: OwnSettings } = {},
): SessionUrl {
  const mark = server === mainServer ? {} : { [serverParameter]: server };
  return urlOf({ ...keywords, ...mark, ...settings });
}

/** Returns the name of the server that a session URL names. */
export function serverOf(url: SessionUrl): string {
  const at = url.indexOf(serverMark);
  if (at < 0) return mainServer;
  return url.slice(at + serverMark.length).split('&', 1)[0] ?? mainServer;
}

/**
 * Returns the connection options and the own settings of a session URL.
 *
 * @throws {ConnectionUrlError} when it is not a valid URL.
 */
export function parseSessionUrl(url: SessionUrl): {
  options: ConnectionOptions;
  settings: OwnSettings;
} {
  const {
    search_path,
    'kennel.tenant': tenant,
    [serverParameter]: _server,
    ...keywords
  } = keywordsIn(url);
  return {
    options: connectionOptions(keywords),
    settings: {
      ...(search_path !== undefined && { search_path }),
      ...(tenant !== undefined && { 'kennel.tenant': tenant }),
    },
  };
}
