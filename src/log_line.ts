/**
 * One line of the log: JSON, of bounded length per value, and without secrets whatever is put in.
 * An error's message may quote a header or a connection URL, so every string is looked at.
 */

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export type LogFields = Readonly<Record<string, unknown>>;

/** How every line begins. */
export type LineHead = { time: string; level: LogLevel; msg: string };

export type LineOptions = {
  /** The longest string that is written whole. */
  valueChars: number;
  /** Whether errors show where they come from. */
  stacks: boolean;
};

/** Marks a string that was cut; it also ends a URL that lost its `@` by the cut. */
const cutMark = '…';

const suspicion = /kn_|bearer|:\/\//i;

const secrets: readonly [shape: RegExp, instead: string][] = [
  [/kn_([^\s_"]+)_[^\s"]+/g, 'kn_$1_***'],
  [/\b(bearer)\s+[^\s"]+/gi, '$1 ***'],
  // Up to the last `@`: a password that was not percent-encoded may hold one itself.
  [/:\/\/[^\s"]*(?:@|…)/g, '://***@'],
];

/**
 * The text without API keys, bearer tokens and the user and password of URLs.
 *
 * @example redact('redis://:secret@cache:6379') // 'redis://***@cache:6379'
 */
export function redact(text: string): string {
  if (!suspicion.test(text)) return text;
  return secrets.reduce((redacted, [shape, instead]) => redacted.replace(shape, instead), text);
}

/** The record as one line of JSON, ended. Never throws: it says so when there is no JSON for it. */
export function logLine(head: LineHead, fields: LogFields, options: LineOptions): string {
  try {
    return `{${members(head, options)}${members(fields, options, ',')}}\n`;
  } catch (error) {
    return `{${members({ ...head, unprintable: String(error) }, options)}}\n`;
  }
}

function members(fields: LogFields, options: LineOptions, before = ''): string {
  let text = '';
  for (const name in fields) {
    const json = jsonOf(fields[name], options);
    if (json !== undefined) text += `${text === '' ? before : ','}${JSON.stringify(name)}:${json}`;
  }
  return text;
}

/** A value that nests nothing, as all of a request's, is spared the slow walk with a replacer. */
function jsonOf(value: unknown, options: LineOptions): string | undefined {
  if (typeof value === 'string') return JSON.stringify(printable(value, options));
  if (typeof value === 'number') return JSON.stringify(value);
  return JSON.stringify(value, (_name, nested) => printable(nested, options));
}

function printable(value: unknown, { valueChars, stacks }: LineOptions): unknown {
  if (typeof value === 'string') return redact(cut(value, valueChars));
  if (typeof value === 'bigint') return String(value);
  if (!(value instanceof Error)) return value;
  const { name, message, cause, stack } = value;
  // Node puts the reason of a failed connection in the code alone, and leaves the message empty.
  const code = 'code' in value ? value.code : undefined;
  return { name, code, message, cause, stack: stacks ? stack : undefined };
}

function cut(text: string, chars: number): string {
  return text.length > chars ? `${text.slice(0, chars)}${cutMark}` : text;
}
