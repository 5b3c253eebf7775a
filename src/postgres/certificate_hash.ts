/**
 * The hash of a server's certificate to which a login is bound (tls-server-end-point): by the function
 * that the certificate itself was signed with, and SHA-256 in place of MD5 and SHA-1.
 *
 * Source: RFC 5929, section 4.1
 */
import { createHash } from 'node:crypto';

/** The object identifiers of signatures as DER has them, in hex, and their hash functions. */
const hashes: Readonly<Record<string, string>> = {
  '2a864886f70d010104': 'sha256', // md5WithRSAEncryption
  '2a864886f70d010105': 'sha256', // sha1WithRSAEncryption
  '2a864886f70d01010b': 'sha256',
  '2a864886f70d01010c': 'sha384',
  '2a864886f70d01010d': 'sha512',
  '2a864886f70d01010e': 'sha224',
  '2a8648ce3d0401': 'sha256', // ecdsa-with-SHA1
  '2a8648ce3d040301': 'sha224',
  '2a8648ce3d040302': 'sha256',
  '2a8648ce3d040303': 'sha384',
  '2a8648ce3d040304': 'sha512',
};

/** @param der the certificate. Null where the hash is not known: Ed25519 has none, for one. */
export function certificateHash(der: Buffer): Buffer | null {
  // Certificate: a sequence of what is signed, of the signature's algorithm, and of the signature.
  const body = valueAt(der, 0);
  const algorithm = valueAt(der, valueAt(der, body.from).to);
  const { from, to } = valueAt(der, algorithm.from);
  const hash = hashes[der.toString('hex', from, to)];
  return hash ? createHash(hash).update(der).digest() : null;
}

/** The bounds of a value whose tag stands at a place. Source: X.690, section 8.1 */
function valueAt(der: Buffer, at: number): { from: number; to: number } {
  const short = der.readUInt8(at + 1);
  if (short < 0x80) return { from: at + 2, to: at + 2 + short };
  const lengthBytes = short & 0x7f;
  const from = at + 2 + lengthBytes;
  return { from, to: from + der.readUIntBE(at + 2, lengthBytes) };
}
