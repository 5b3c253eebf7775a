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
    return `${jsonOf(head, fields, options)}\n`;
  } catch (error) {
    return `${jsonOf(head, { unprintable: String(error) }, options)}\n`;
  }
}

function jsonOf({ time, level, msg }: LineHead, fields: LogFields, options: LineOptions): string {
  const shown: Record<string, unknown> = { time, level, msg: printable(msg, options) };
  // Not a spread: it costs more than all of the rest.
  for (const name in fields) {
    const value = fields[name];
    const nests = typeof value === 'object' && value !== null;
    shown[name] = nests ? printableCopy(value, options) : printable(value, options);
  }
  return JSON.stringify(shown);
}

/** Apart, because a walk with a replacer is slow, and a request's fields nest nothing. */
function printableCopy(value: object, options: LineOptions): unknown {
  const json = JSON.stringify(value, (_name, nested) => printable(nested, options));
  return json === undefined ? undefined : JSON.parse(json);
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
