/**
 * Where a request ends (RFC 9112, section 6). Node's parser lets forms through that a parser on the
 * way here may read differently, and each of them would carry a second request past that one.
 */
import { Refusal } from '../kernel/errors.ts';
import { headerValues, type RawHeaders } from './header_values.ts';

// Without leading zeros, which some read as octal.
const lengthPattern = /^(?:0|[1-9]\d{0,15})$/;

/**
 * Admits one way to frame a body: no header for it, one `Content-Length`, or one
 * `Transfer-Encoding: chunked`.
 *
 * @throws {Refusal} `malformed`.
 */
export function refuseAmbiguousFraming(httpVersion: string, raw: RawHeaders): void {
  if (httpVersion !== '1.1' && httpVersion !== '1.0') throw malformed('it is no HTTP/1');
  const lengths = headerValues(raw, 'content-length');
  const codings = headerValues(raw, 'transfer-encoding');
  if (lengths.length + codings.length > 1) throw malformed('its length is told twice');
  const [length = '0'] = lengths;
  if (!lengthPattern.test(length)) throw malformed('its Content-Length is no plain number');
  const [coding] = codings;
  if (coding === undefined) return;
  if (coding.toLowerCase() !== 'chunked') throw malformed('its Transfer-Encoding is not "chunked"');
  // An HTTP/1.0 proxy does not know chunks and may see another end of the body (RFC 9112, 6.1).
  if (httpVersion === '1.0') throw malformed('Transfer-Encoding needs HTTP/1.1');
}

function malformed(reason: string): Refusal {
  return new Refusal('malformed', { detail: `Cannot read the request: ${reason}` });
}
