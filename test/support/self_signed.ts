/** A self-signed certificate, made by the `openssl` command. */
import { spawnSync } from 'node:child_process';

export type SelfSigned = { key: string; certificate: string };

/** For an address, and host names if there are any. Null if the command is missing. */
export function selfSigned(address: string, ...names: readonly string[]): SelfSigned | null {
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const known = [`IP:${address}`, ...names.map((name) => `DNS:${name}`)].join();
  const subject = ['-subj', '/CN=kennel test', '-addext', `subjectAltName=${known}`];
  const args = ['req', ...kind, ...subject, '-days', '2', '-keyout', '-', '-out', '-'];
  const { status, stdout } = spawnSync('openssl', args, { encoding: 'utf8' });
  if (status !== 0) return null;
  const [key = '', certificate = ''] = stdout.match(/-----BEGIN .+?-----END .+?-----\n/gs) ?? [];
  return { key, certificate };
}
