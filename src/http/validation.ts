/**
 * Checks a request's query and body by valibot schemas. A wrong input is answered with one entry
 * per field, so that a client can fix all of them at once.
 */
import { type BaseIssue, type GenericSchema, getDotPath, safeParse } from 'valibot';
import { type FieldError, Refusal } from '../kernel/errors.ts';

/** An object schema: its entries are the fields that a client may send. */
export type Fields<Output> = GenericSchema<unknown, Output> & {
  readonly entries: Readonly<Record<string, unknown>>;
};

/**
 * The fields of a JSON body. `errorLimit` bounds the entries of the answer.
 *
 * @throws {Refusal} `invalid_input` for wrong and for unknown fields.
 */
export function parseFields<Output>(
  fields: Fields<Output>,
  value: unknown,
  errorLimit: number,
): Output {
  // To valibot an array is an object without fields, which a schema of optional ones would accept.
  if (Array.isArray(value)) throw wrong([{ path: '', message: 'Expected an object' }], errorLimit);
  const parsed = safeParse(fields, value);
  const unknown = unknownFields(fields, value);
  if (parsed.success && unknown.length === 0) return parsed.output;
  throw wrong([...unknown, ...(parsed.issues ?? []).map(fieldError)], errorLimit);
}

/**
 * The fields of a query string. An unknown parameter is refused, because a misspelt filter would show
 * everything. One that is sent twice is refused, because it is unclear which value is meant.
 *
 * @throws {Refusal} `invalid_input`, also for text that is not percent-encoded UTF-8.
 */
export function parseQuery<Output>(
  fields: Fields<Output>,
  query: string,
  errorLimit: number,
): Output {
  const sent = new Map<string, string>();
  const errors: FieldError[] = [];
  for (const pair of query.split('&')) {
    if (pair === '') continue;
    const [name, value] = split(pair).map(decoded);
    if (name == null || value == null) {
      errors.push({ path: name ?? '', message: 'Expected percent-encoded UTF-8' });
    } else if (sent.has(name)) errors.push({ path: name, message: 'Expected one value' });
    else sent.set(name, value);
  }
  if (errors.length > 0) throw wrong(errors, errorLimit);
  return parseFields(fields, Object.fromEntries(sent), errorLimit);
}

function split(pair: string): [name: string, value: string] {
  const at = pair.indexOf('=');
  return at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
}

/** Decodes form encoding, where plus is a space; null if it is invalid. */
function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return null;
  }
}

/** Valibot asks `key in entries`, to which `constructor` and `toString` are known fields. */
function unknownFields({ entries }: Fields<unknown>, value: unknown): FieldError[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.keys(value)
    .filter((name) => !Object.hasOwn(entries, name))
    .map((path) => ({ path, message: 'Unknown field' }));
}

function fieldError(issue: BaseIssue<unknown>): FieldError {
  return { path: getDotPath(issue) ?? '', message: issue.message };
}

/** Keeps the first entry of each field. */
function wrong(errors: readonly FieldError[], errorLimit: number): Refusal {
  const byPath = new Map<string, FieldError>();
  for (const error of errors) if (!byPath.has(error.path)) byPath.set(error.path, error);
  return new Refusal('invalid_input', {
    detail: 'The input is not valid; see "errors"',
    errors: [...byPath.values()].slice(0, errorLimit),
  });
}
