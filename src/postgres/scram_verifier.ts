/**
 * A SCRAM-SHA-256 verifier (RFC 5802, RFC 7677), as Postgres stores it. It sets a password without sending
 * the password in a statement, which the server might log.
 */
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';

const iterations = 4_096;

/** `SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>`; `salt` is 16 random bytes. */
export function scramVerifier(password: string, salt: Buffer): string {
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256');
  const clientKey = createHmac('sha256', salted).update('Client Key').digest();
  const storedKey = createHash('sha256').update(clientKey).digest('base64');
  const serverKey = createHmac('sha256', salted).update('Server Key').digest('base64');
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
}
