/**
 * A real proxy before two Kennels, with the configuration that README shows: the files of
 * `test/proxies`, in which only addresses and paths are replaced.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { canConnect, findProgram, freePort } from './programs.ts';
import type { SelfSigned } from './self_signed.ts';
import { until } from './until.ts';

export type RunningProxy = { port: number; stop(): Promise<void> };

/** Starts it before two ports of 127.0.0.1. */
export type StartProxy = (
  ports: readonly [number, number],
  tls: SelfSigned,
) => Promise<RunningProxy>;

const nginx = findProgram('nginx');
const haproxy = findProgram('haproxy');

/** By name; null if it is not installed. */
export const proxies: Readonly<Record<string, StartProxy | null>> = {
  nginx: nginx ? (ports, tls) => startNginx(nginx, ports, tls) : null,
  haproxy: haproxy ? (ports, tls) => startHaproxy(haproxy, ports, tls) : null,
};

const nginxItself = (folder: string) => `
  daemon off;
  worker_processes 1;
  pid ${folder}/pid;
  error_log stderr;
  events {}
  http {
    access_log off;
    ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
      .map((name) => `${name}_temp_path ${folder}/${name};`)
      .join('\n')}
    include ${folder}/kennel.conf;
  }`;

async function startNginx(
  program: string,
  [one, other]: readonly [number, number],
  { key, certificate }: SelfSigned,
): Promise<RunningProxy> {
  const port = await freePort();
  const folder = await mkdtemp(join(tmpdir(), 'kennel-nginx-'));
  const text = replaced(await readFile('test/proxies/nginx.conf', 'utf8'), {
    '127.0.0.1:8081': `127.0.0.1:${one}`,
    '127.0.0.1:8082': `127.0.0.1:${other}`,
    'listen 443': `listen 127.0.0.1:${port}`,
    '/etc/ssl/pets.example': folder,
  });
  await writeFile(join(folder, 'key.pem'), key);
  await writeFile(join(folder, 'certificate.pem'), certificate);
  await writeFile(join(folder, 'kennel.conf'), text);
  await writeFile(join(folder, 'nginx.conf'), nginxItself(folder));
  return run(program, ['-p', folder, '-c', join(folder, 'nginx.conf')], { port, folder });
}

async function startHaproxy(
  program: string,
  [one, other]: readonly [number, number],
  { key, certificate }: SelfSigned,
): Promise<RunningProxy> {
  const port = await freePort();
  const folder = await mkdtemp(join(tmpdir(), 'kennel-haproxy-'));
  const text = replaced(await readFile('test/proxies/haproxy.cfg', 'utf8'), {
    '127.0.0.1:8081': `127.0.0.1:${one}`,
    '127.0.0.1:8082': `127.0.0.1:${other}`,
    'bind :443': `bind 127.0.0.1:${port}`,
    '/etc/ssl/pets.example': folder,
  });
  await writeFile(join(folder, 'certificate-and-key.pem'), `${certificate}${key}`);
  await writeFile(join(folder, 'haproxy.cfg'), text);
  return run(program, ['-db', '-q', '-f', join(folder, 'haproxy.cfg')], { port, folder });
}

function replaced(text: string, changes: Readonly<Record<string, string>>): string {
  return Object.entries(changes).reduce((changed, [from, to]) => {
    if (!changed.includes(from)) throw new Error(`Cannot replace "${from}": it is not there`);
    return changed.replaceAll(from, to);
  }, text);
}

async function run(
  program: string,
  args: readonly string[],
  { port, folder }: { port: number; folder: string },
): Promise<RunningProxy> {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const kill = () => child.kill('SIGTERM');
  process.once('exit', kill);
  const ended = once(child, 'close');
  await until(() => {
    if (child.exitCode !== null) throw new Error(`Cannot start ${program}: ${said}`);
    return canConnect(port);
  });
  return {
    port,
    stop: async () => {
      process.off('exit', kill);
      kill();
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
