/**
 * Formats one log line as JSON. Every string is cut to a maximum length, and secrets are removed from it:
 * an error's message may quote a header or a connection URL.
 */

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export type LogFields = Readonly<Record<string, unknown>>;

/** The first fields of every line. */
export type LineHead = { time: string; level: LogLevel; msg: string };

export type LineOptions = {
  /** Longer strings are cut to this length. */
  valueChars: number;
  /** Whether errors are logged with their stack. */
  stacks: boolean;
};

/** Marks a string that was cut. A URL that is cut before its `@` ends with it. */
const cutMark = '…';

const suspicion = /kn_|bearer|:\/\//i;

const secrets: readonly [shape: RegExp, instead: string][] = [
  [/kn_([^\s_"]+)_[^\s"]+/g, 'kn_$1_***'],
  [/\b(bearer)\s+[^\s"]+/gi, '$1 ***'],
  // Up to the last `@`: a password that was not percent-encoded may hold one itself.
  [/:\/\/[^\s"]*(?:@|…)/g, '://***@'],
];

/**
 * Returns the text without API keys, bearer tokens, and users and passwords of URLs.
 *
 * @example redact('redis://:secret@cache:6379') // 'redis://***@cache:6379'
 */
export function redact(text: string): string {
  if (!suspicion.test(text)) return text;
  return secrets.reduce((redacted, [shape, instead]) => redacted.replace(shape, instead), text);
}

/** Returns one line of JSON with its line break. Never throws: fields without JSON become `unprintable`. */
export function logLine(head: LineHead, fields: LogFields, options: LineOptions): string {
  try {
    return `${jsonOf(head, fields, options)}\n`;
  } catch (error) {
    return `${jsonOf(head, { unprintable: String(error) }, options)}\n`;
  }
}

function jsonOf({ time, level, msg }: LineHead, fields: LogFields, options: LineOptions): string {
  const shown: Record<string, unknown> = { time, level, msg: printable(msg, options) };
  // Not a spread, which would take longer than all the rest.
  for (const name in fields) {
    const value = fields[name];
    const nests = typeof value === 'object' && value !== null;
    shown[name] = nests ? printableCopy(value, options) : printable(value, options);
  }
  return JSON.stringify(shown);
}

/** Only for nested values: a replacer is slow, and a request's fields have no nested values. */
function printableCopy(value: object, options: LineOptions): unknown {
  const json = JSON.stringify(value, (_name, nested) => printable(nested, options));
  return json === undefined ? undefined : JSON.parse(json);
}

function printable(value: unknown, { valueChars, stacks }: LineOptions): unknown {
  if (typeof value === 'string') return redact(cut(value, valueChars));
  if (typeof value === 'bigint') return String(value);
  if (!(value instanceof Error)) return value;
  const { name, message, cause, stack } = value;
  // For a failed connection node may leave the message empty; the reason is in the code.
  const code = 'code' in value ? value.code : undefined;
  return { name, code, message, cause, stack: stacks ? stack : undefined };
}

function cut(text: string, chars: number): string {
  return text.length > chars ? `${text.slice(0, chars)}${cutMark}` : text;
}
