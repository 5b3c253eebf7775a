/** The model's input: fields by name, each right or wrong. */
import { isRecord } from './response.ts';

/** Whether a value is valid for the field, and whether the field is required. */
type Field = { fits(value: unknown): boolean; required: boolean };

export type Fields = Readonly<Record<string, Field>>;

export function required(fits: (value: unknown) => boolean): Field {
  return { fits, required: true };
}

export function optional(fits: (value: unknown) => boolean): Field {
  return { fits, required: false };
}

/** One path per wrong, missing or unknown field, in order. */
export function wrongPaths(fields: Fields, input: Readonly<Record<string, unknown>>): string[] {
  const unknown = Object.keys(input).filter((name) => !Object.hasOwn(fields, name));
  const wrong = Object.entries(fields).filter(([name, field]) =>
    Object.hasOwn(input, name) ? !field.fits(input[name]) : field.required,
  );
  return [...unknown, ...wrong.map(([name]) => name)].sort();
}

/** The object in a body; null when the body is JSON of another kind, or not JSON. */
export function readBody(body: unknown): Record<string, unknown> | 'no JSON' | 'no object' {
  const value = typeof body === 'string' ? parsed(body) : body;
  if (value === undefined) return 'no JSON';
  return isRecord(value) ? value : 'no object';
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export const isText = (value: unknown) => typeof value === 'string' && value !== '';

export const isBoolean = (value: unknown) => typeof value === 'boolean';

export const isString = (value: unknown) => typeof value === 'string';

export const isDate = (value: unknown) =>
  typeof value === 'string' &&
  /^\d{4}-\d{2}-\d{2}$/.test(value) &&
  new Date(`${value}T00:00:00Z`).toJSON()?.startsWith(value) === true;

export const isPageSize = (value: unknown) =>
  Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 100;

export const isLimit = (value: unknown) => isPageSize(Number(value));

export const isEmail = (value: unknown) => typeof value === 'string' && /^\S+@\S+$/.test(value);

export const isRole = (value: unknown) => value === 'admin' || value === 'member';

export function orNull(fits: (value: unknown) => boolean): (value: unknown) => boolean {
  return (value) => value === null || fits(value);
}
