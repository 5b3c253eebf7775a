/**
 * One line of the log: JSON, of bounded length per value, and without secrets whatever is put in.
 * An error's message may quote a header or a connection URL, so every string is looked at.
 */

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export type LogFields = Readonly<Record<string, unknown>>;

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
export function logLine(record: LogFields, options: LineOptions): string {
  try {
    return `${jsonOf(record, options)}\n`;
  } catch (error) {
    const { time, level, msg } = record;
    return `${jsonOf({ time, level, msg, unprintable: String(error) }, options)}\n`;
  }
}

/** A record that nests nothing, as a request's, is spared the slow walk with a replacer. */
function jsonOf(record: LogFields, options: LineOptions): string {
  const shown: Record<string, unknown> = {};
  for (const name in record) {
    const value = record[name];
    if (typeof value === 'object' && value !== null) {
      return JSON.stringify(record, (_name, nested) => printable(nested, options));
    }
    shown[name] = printable(value, options);
  }
  return JSON.stringify(shown);
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
