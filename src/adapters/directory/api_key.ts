/**
 * API keys have the form `kn_<id>_<secret>`. The secret has 256 random bits, and only its SHA-256 digest
 * is stored: a slow hash protects secrets that can be guessed, and this one cannot. Digests need no
 * constant-time comparison: to know a prefix of a digest does not help to find its secret.
 */
import { hash } from 'node:crypto';

export type ApiKey = { id: string; secret: string };

/** The scheme in any case; the key in lower case only. */
const bearer = /^[Bb][Ee][Aa][Rr][Ee][Rr] +kn_([0-9a-f]{32})_([0-9a-f]{64}) *$/;

/** Returns the key in an `Authorization` header (RFC 6750), or null. */
export function apiKeyIn(authorization: string | null): ApiKey | null {
  const [, id, secret] = bearer.exec(authorization ?? '') ?? [];
  return id === undefined || secret === undefined ? null : { id: withDashes(id), secret };
}

function withDashes(id: string): string {
  return `${id.slice(0, 8)}-${id.slice(8, 12)}-${id.slice(12, 16)}-${id.slice(16, 20)}-${id.slice(20)}`;
}

/** @param secret 32 bytes. */
export function formatApiKey(id: string, secret: Uint8Array): string {
  return `kn_${id.replaceAll('-', '')}_${Buffer.from(secret).toString('hex')}`;
}

/**
 * Returns a new key: the text, which is shown once, and the digest, which is stored.
 *
 * @param secret 32 random bytes.
 */
export function mintApiKey(id: string, secret: Uint8Array): { apiKey: string; digest: Buffer } {
  const digest = secretDigest(Buffer.from(secret).toString('hex'));
  return { apiKey: formatApiKey(id, secret), digest };
}

/** @param secret As in a key: 64 hexadecimal digits. */
export function secretDigest(secret: string): Buffer {
  return Buffer.from(secretDigestHex(secret), 'hex');
}

/** The same digest in hexadecimal. */
export function secretDigestHex(secret: string): string {
  return hash('sha256', secret, 'hex');
}
