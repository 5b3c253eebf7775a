/**
 * Where a session leads, as one string: pools know a target by it. A canonical database URL, and behind
 * its own parameters the settings of ours that the session begins with.
 */
import { type ConnectionOptions, connectionOptions } from './connection_options.ts';
import { type Keywords, keywordsIn, urlOf } from './connection_url.ts';

export type Target = string;

/** What a session of one tenant alone begins with. No URL of an operator may have them. */
const ownSettings = ['search_path', 'kennel.tenant'] as const;

export type OwnSettings = Partial<Record<(typeof ownSettings)[number], string>>;

export function targetOf(keywords: Keywords, settings: OwnSettings = {}): Target {
  return urlOf({ ...keywords, ...settings });
}

/**
 * What a target asks for.
 *
 * @throws {ConnectionUrlError} when it is none.
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
