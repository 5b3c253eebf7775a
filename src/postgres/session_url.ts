/**
 * The target of a session as one string, by which pools find its connections: a canonical database URL,
 * whose last parameters are Kennel's own: the name of the server, if it is not the main one, and settings at
 * the start of the session.
 */
import { mainServer } from '../kernel/tenant.ts';
import { type ConnectionOptions, connectionOptions } from './connection_options.ts';
import { type Keywords, keywordsIn, urlOf } from './connection_url.ts';

export type Target = string;

/** The settings at the start of a session of one tenant alone. An operator's URL may not have them. */
const ownSettings = ['search_path', 'kennel.tenant'] as const;

export type OwnSettings = Partial<Record<(typeof ownSettings)[number], string>>;

const serverParameter = 'kennel.server';
const serverMark = `${serverParameter}=`;

export function targetOf(
  keywords: Keywords,
  { server = mainServer, settings = {} }: { server?: string; settings?: OwnSettings } = {},
): Target {
  const mark = server === mainServer ? {} : { [serverParameter]: server };
  return urlOf({ ...keywords, ...mark, ...settings });
}

/** Returns the name of the target's server. */
export function serverOf(target: Target): string {
  const at = target.indexOf(serverMark);
  if (at < 0) return mainServer;
  return target.slice(at + serverMark.length).split('&', 1)[0] ?? mainServer;
}

/**
 * Returns the connection options and the own settings of a target.
 *
 * @throws {ConnectionUrlError} when it is not a valid URL.
 */
export function partsOf(target: Target): { options: ConnectionOptions; settings: OwnSettings } {
  const {
    search_path,
    'kennel.tenant': tenant,
    [serverParameter]: _server,
    ...keywords
  } = keywordsIn(target);
  return {
    options: connectionOptions(keywords),
    settings: {
      ...(search_path !== undefined && { search_path }),
      ...(tenant !== undefined && { 'kennel.tenant': tenant }),
    },
  };
}
