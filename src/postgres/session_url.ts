/**
 * The target of a session as one string, by which pools find its connections: a canonical database URL,
 * whose last parameters are Kennel's own settings at the start of the session.
 */
import { type ConnectionOptions, connectionOptions } from './connection_options.ts';
import { type Keywords, keywordsIn, urlOf } from './connection_url.ts';

export type Target = string;

/** The settings at the start of a session of one tenant alone. An operator's URL may not have them. */
const ownSettings = ['search_path', 'kennel.tenant'] as const;

export type OwnSettings = Partial<Record<(typeof ownSettings)[number], string>>;

export function targetOf(keywords: Keywords, settings: OwnSettings = {}): Target {
  return urlOf({ ...keywords, ...settings });
}

/**
 * Returns the connection options and the own settings of a target.
 *
 * @throws {ConnectionUrlError} when it is not a valid URL.
 */
export function partsOf(target: Target): { options: ConnectionOptions; settings: OwnSettings } {
  const { search_path, 'kennel.tenant': tenant, ...keywords } = keywordsIn(target);
  return {
    options: connectionOptions(keywords),
    settings: {
      ...(search_path !== undefined && { search_path }),
      ...(tenant !== undefined && { 'kennel.tenant': tenant }),
    },
  };
}
