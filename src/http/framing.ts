/**
 * Where a request ends (RFC 9112, section 6). Node's parser accepts forms that a proxy in front may read
 * differently. With each such form a client could smuggle a second request past the proxy.
 */
import { Refusal } from '../kernel/errors.ts';
import { headerValues, type RawHeaders } from './header_values.ts';

// Without leading zeros, which some read as octal.
const lengthPattern = /^(?:0|[1-9]\d{0,15})$/;

/**
 * Returns whether the request has a body. Accepts three ways to frame it: no header at all, one
 * `Content-Length`, or one `Transfer-Encoding: chunked`. A length of 0 is no body; chunks are one.
 *
 * @throws {Refusal} `malformed`.
 */
export function hasBody(httpVersion: string, raw: RawHeaders): boolean {
  if (httpVersion !== '1.1' && httpVersion !== '1.0') throw malformed('it is not HTTP/1');
  const lengths = headerValues(raw, 'content-length');
  const codings = headerValues(raw, 'transfer-encoding');
  if (lengths.length + codings.length > 1) throw malformed('its length is given twice');
  const [length = '0'] = lengths;
  if (!lengthPattern.test(length)) throw malformed('its Content-Length is not a plain number');
  const [coding] = codings;
  if (coding === undefined) return length !== '0';
  if (coding.toLowerCase() !== 'chunked') throw malformed('its Transfer-Encoding is not "chunked"');
  // An HTTP/1.0 proxy does not know chunks, so it may see another end of the body (RFC 9112, 6.1).
  if (httpVersion === '1.0') throw malformed('Transfer-Encoding needs HTTP/1.1');
  return true;
}

function malformed(reason: string): Refusal {
  return new Refusal('malformed', { detail: `Cannot read the request: ${reason}` });
}
