/**
 * The settings of a tenant, with their types and defaults. They are stored as JSON; a stored value that
 * does not fit its type counts as not set.
 */

export type Settings = {
  include_deleted_pets: boolean;
  default_page_size: number;
  welcome_message: string;
};

export type SettingKey = keyof Settings;

type Definition<Value> = { fallback: Value; expects: string; accepts(value: unknown): boolean };

const definitions: { [Key in SettingKey]: Definition<Settings[Key]> } = {
  include_deleted_pets: {
    fallback: false,
    expects: 'a boolean',
    accepts: (value) => typeof value === 'boolean',
  },
  default_page_size: {
    fallback: 20,
    expects: 'an integer from 1 to 100',
    accepts: (value) => Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 100,
  },
  welcome_message: {
    fallback: '',
    expects: 'a string of at most 500 characters, without control characters',
    accepts: (value) =>
      typeof value === 'string' && [...value].length <= 500 && !/[\p{Cc}\p{Cs}]/u.test(value),
  },
};

/** All known keys. The store may hold others. */
export const settingKeys: readonly string[] = Object.keys(definitions);

export function isSettingKey(key: string): key is SettingKey {
  return Object.hasOwn(definitions, key);
}

/** Returns the expected value in words, or null when the value fits. */
export function settingMismatch(key: string, value: unknown): string | null {
  if (!isSettingKey(key)) return 'Expected the key of a setting';
  const { accepts, expects } = definitions[key];
  return accepts(value) ? null : `Expected ${expects}`;
}

/**
 * Returns all settings: stored values that fit, and defaults for the rest.
 *
 * @example settingsFrom({ default_page_size: 5 }).default_page_size // 5
 * @example settingsFrom({ default_page_size: 'x' }).default_page_size // 20
 */
export function settingsFrom(stored: Readonly<Record<string, unknown>>): Settings {
  const pick = <Key extends SettingKey>(key: Key): Settings[Key] =>
    Object.hasOwn(stored, key) && definitions[key].accepts(stored[key])
      ? (stored[key] as Settings[Key])
      : definitions[key].fallback;
  return {
    include_deleted_pets: pick('include_deleted_pets'),
    default_page_size: pick('default_page_size'),
    welcome_message: pick('welcome_message'),
  };
}
