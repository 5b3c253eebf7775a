/**
 * Reads a request's body as JSON. Bytes are counted while they arrive. A body that could harm the code
 * that reads it (`__proto__`, very deep nesting) is refused.
 */
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { parse } from 'secure-json-parse';
import { Refusal } from '../kernel/errors.ts';
import type { RawExchange } from './client_connection.ts';
import { GrowableBuffer } from './growable_buffer.ts';
import { headerValues, soleHeader } from './header_values.ts';
import { isJson } from './media_type.ts';

export type BodyLimits = {
  bytes: number;
  /** Bytes on the wire for such a body: chunks may have long extensions (CVE-2023-39326). */
  wireBytes: number;
  /** Levels of nested arrays and objects; a plain value has none. */
  depth: number;
};

export type BodyOptions = {
  /**
   * Bytes that the socket had read when it had the request's head. All later bytes count against the body, also
   * those that arrived before the body was wanted.
   */
  begunAt: number;
  /** Bytes from the next request on are not the body's. */
  raw: Pick<RawExchange, 'nextBegunAt'>;
  /** Aborted when the connection fails; its reason is thrown. */
  broken: AbortSignal;
  /** Called when the headers allow the body, before its first byte is read. */
  invite(): void;
};

/**
 * Returns the parsed body.
 *
 * @throws {Refusal} `unsupported_media_type`, `payload_too_large` or `malformed`.
 */
export async function readJson(
  incoming: IncomingMessage,
  limits: BodyLimits,
  { begunAt, raw, broken, invite }: BodyOptions,
): Promise<unknown> {
  refuseUnreadable(incoming, limits);
  invite();
  return parseJson(await readBytes(incoming, limits, { begunAt, raw, broken }), limits.depth);
}

/** Refuses by the headers alone, so that a client does not upload a body for nothing. */
function refuseUnreadable({ headers, rawHeaders }: IncomingMessage, limits: BodyLimits): void {
  const length = Number(headers['content-length'] ?? 0);
  if (length === 0 && headers['transfer-encoding'] === undefined) throw malformed('it is empty');
  if (!isJson(soleHeader(rawHeaders, 'content-type') ?? '')) {
    throw new Refusal('unsupported_media_type', { detail: 'Send the body as application/json' });
  }
  if (!headerValues(rawHeaders, 'content-encoding').every(isIdentity)) {
    throw new Refusal('unsupported_media_type', { detail: 'Send the body without compression' });
  }
  if (length > limits.bytes) throw tooLarge(limits.bytes);
}

function isIdentity(codings: string): boolean {
  return codings.split(',').every((coding) => /^(?:identity)?$/i.test(coding.trim()));
}

async function readBytes(
  incoming: IncomingMessage,
  { bytes: limit, wireBytes }: BodyLimits,
  { begunAt, raw, broken }: Omit<BodyOptions, 'invite'>,
): Promise<Buffer> {
  broken.throwIfAborted();
  if (incoming.destroyed) throw cutShort();
  const { socket } = incoming;
  const wireLimit = begunAt + wireBytes;
  const gathered = new GrowableBuffer();
  let onBroken = () => {};
  const complete = new Promise<Buffer>((resolve, reject) => {
    onBroken = () => reject(broken.reason);
    broken.addEventListener('abort', onBroken);
    // Not `for await`: a loop that is left early destroys the socket, and the 413 would not arrive.
    incoming.on('data', (chunk: Buffer) => {
      const arrived = raw.nextBegunAt ?? socket.bytesRead;
      const tooMany = gathered.size + chunk.length > limit || arrived > wireLimit;
      if (tooMany) reject(tooLarge(limit));
      else gathered.add(chunk);
    });
    incoming.once('end', () => resolve(gathered.bytes()));
    incoming.once('close', () => reject(cutShort()));
  });
  return complete.finally(() => broken.removeEventListener('abort', onBroken));
}

/**
 * Parses UTF-8 JSON text.
 *
 * @example parseJson(Buffer.from('{"name":"Rex"}'), 8) // { name: 'Rex' }
 * @throws {Refusal} `malformed`.
 */
export function parseJson(bytes: Buffer, depth: number): unknown {
  if (bytes.length === 0) throw malformed('it is empty');
  if (!isUtf8(bytes)) throw malformed('it is not UTF-8');
  const value = parseSafely(bytes.toString());
  if (isDeeperThan(depth, value)) throw malformed(`it is nested more than ${depth} deep`);
  return value;
}

function parseSafely(text: string): unknown {
  try {
    return parse(text, { protoAction: 'error', constructorAction: 'error' });
  } catch (cause) {
    throw malformed('it is not JSON, or has a forbidden key', cause);
  }
}

/** Level by level: a recursion would overflow the stack on the values to be refused. */
function isDeeperThan(depth: number, value: unknown): boolean {
  let level = [value].filter(isContainer);
  for (let at = 0; at < depth && level.length > 0; at += 1) {
    level = level.flatMap((container) => Object.values(container).filter(isContainer));
  }
  return level.length > 0;
}

function isContainer(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function malformed(reason: string, cause?: unknown): Refusal {
  return new Refusal('malformed', { detail: `Cannot read the body: ${reason}`, cause });
}

function cutShort(): Refusal {
  return malformed('the connection ended before it was complete');
}

function tooLarge(limit: number): Refusal {
  return new Refusal('payload_too_large', {
    detail: `Cannot read the body: it is larger than ${limit} bytes`,
  });
}
