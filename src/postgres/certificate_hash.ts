/**
 * The hash of a server's certificate for channel binding (tls-server-end-point). It uses the hash function
 * of the certificate's own signature, and SHA-256 in the place of MD5 and SHA-1.
 *
 * Source: RFC 5929, section 4.1
 */
import { createHash } from 'node:crypto';

/** Hash functions by the object identifier of the signature algorithm: its DER encoding in hex. */
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

/** @param der the certificate. @returns null for an unknown algorithm, and for one without a hash (Ed25519). */
export function certificateHash(der: Buffer): Buffer | null {
  // A certificate is a sequence: the signed part, the signature's algorithm, the signature.
  const body = valueAt(der, 0);
  const algorithm = valueAt(der, valueAt(der, body.from).to);
  const { from, to } = valueAt(der, algorithm.from);
  const hash = hashes[der.toString('hex', from, to)];
  return hash ? createHash(hash).update(der).digest() : null;
}

/** Returns the bounds of the value whose tag is at an offset. Source: X.690, section 8.1 */
function valueAt(der: Buffer, at: number): { from: number; to: number } {
  const short = der.readUInt8(at + 1);
  if (short < 0x80) return { from: at + 2, to: at + 2 + short };
  const lengthBytes = short & 0x7f;
  const from = at + 2 + lengthBytes;
  return { from, to: from + der.readUIntBE(at + 2, lengthBytes) };
}
