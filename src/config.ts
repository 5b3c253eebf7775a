/** Reads the environment once. No other module reads `process.env`, except those that a test lists. */
import type { BlockList } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';
import { redisAddress } from './adapters/limiter/redis_url.ts';
import { withFiles } from './environment_files.ts';
import {
  databaseUrl,
  domain,
  folder,
  host,
  integer,
  operatorToken,
  origins,
  proxies,
  readBy,
  resolution,
  type TenantResolverName,
  tenantResolverNames,
} from './environment_values.ts';
import { type IsolationModeName, isolationModes } from './isolation/modes.ts';
import { limits } from './limits.ts';
import { smtpServer } from './mail/smtp_url.ts';
import type { LogLevel } from './observability/log_line.ts';

const projectFolder = fileURLToPath(new URL('..', import.meta.url));
const msPerSecond = 1_000;

/** Invalid variables, one line for each. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly lines: string[];

  constructor(lines: string[]) {
    super(lines.join('\n'));
    this.lines = lines;
  }
}

/** The values of the environment, with defaults. */
export type Config = {
  /** The mode of new tenants. */
  isolation: IsolationModeName;
  host: string;
  /** 0 for any free port. */
  port: number;
  /** Null for the embedded Postgres. */
  databaseUrl: string | null;
  /** Null for rate limits in the memory of each process. */
  redisUrl: string | null;
  /** How a request may name its tenant. */
  resolution: readonly TenantResolverName[];
  baseDomain: string;
  adminToken: string | null;
  metricsToken: string | null;
  demo: boolean;
  /** Null to write emails as files. */
  smtpUrl: string | null;
  trustedProxies: BlockList;
  corsOrigins: ReadonlySet<string>;
  connections: number;
  shutdownDelayMs: number;
  keepAliveMs: number;
  logLevel: LogLevel;
  dataFolder: string;
  sqlFolder: string;
  packageFile: string;
};

const variables = v.object({
  ISOLATION: v.optional(
    v.picklist(isolationModes, `expected ${isolationModes.join(', ')}`),
    'shared',
  ),
  HOST: v.optional(host, '127.0.0.1'),
  PORT: v.optional(integer(0, 65_535), '8080'),
  DATABASE_URL: v.optional(readBy(databaseUrl)),
  REDIS_URL: v.optional(readBy((text) => redisAddress(text) && text)),
  RESOLUTION: v.optional(resolution, tenantResolverNames.join()),
  BASE_DOMAIN: v.optional(domain, 'localhost'),
  ADMIN_TOKEN: v.optional(operatorToken),
  METRICS_TOKEN: v.optional(operatorToken),
  DEMO: v.optional(v.picklist(['0', '1'], 'expected 0 or 1')),
  SMTP_URL: v.optional(readBy((text) => smtpServer(text) && text)),
  TRUSTED_PROXIES: v.optional(proxies, ''),
  CORS_ORIGINS: v.optional(origins, ''),
  DB_CONNECTIONS: v.optional(integer(1, 1_000), '16'),
  SHUTDOWN_DELAY_MS: v.optional(integer(0, 60_000), `${limits.shutdown.delayMs}`),
  KEEP_ALIVE_SECONDS: v.optional(integer(1, 3_600), `${limits.http.keepAliveMs / msPerSecond}`),
  LOG_LEVEL: v.optional(
    v.picklist(['debug', 'info', 'warn', 'error'], 'expected debug, info, warn or error'),
    'info',
  ),
  DATA_DIR: v.optional(folder, join(projectFolder, '.data')),
});

type Environment = Readonly<Record<string, string | undefined>>;

/** Returns a line for each problem of variables that are valid one by one. */
type Rule = (given: Environment) => string[];

/**
 * The configuration of an environment. An empty variable counts as unset.
 *
 * @throws {ConfigError} naming every invalid variable, but not its value, which may be secret.
 */
export function readConfig(environment: Environment): Config {
  return read(environment, tokensDiffer);
}

/** The configuration of a server, which needs more than a command. @throws as `readConfig` does. */
export function readServerConfig(environment: Environment): Config {
  return read(environment, (given) => [...tokensDiffer(given), ...operatorIsKnown(given)]);
}

const tokensDiffer: Rule = ({ ADMIN_TOKEN: admin, METRICS_TOKEN: metrics }) =>
  metrics !== undefined && metrics === admin
    ? ['Cannot use METRICS_TOKEN: expected a token other than ADMIN_TOKEN']
    : [];

/** A file that cannot be read has a line of its own. */
const operatorIsKnown: Rule = (given) => {
  const has = (name: string) => given[name] !== undefined || given[`${name}_FILE`] !== undefined;
  return has('DATABASE_URL') && !has('ADMIN_TOKEN')
    ? ['Cannot use ADMIN_TOKEN: it must be set if DATABASE_URL is set']
    : [];
};

function read(environment: Environment, rule: Rule): Config {
  const given = Object.entries(environment).flatMap(([name, value]) =>
    value ? [[name, value] as const] : [],
  );
  const { variables: all, problems } = withFiles(Object.fromEntries(given));
  const { success, output, issues } = v.safeParse(variables, all);
  const lines = (issues ?? []).map((issue) => {
    return `Cannot use ${String(issue.path?.[0]?.key)}: ${issue.message}`;
  });
  const wrong = [...problems, ...lines, ...rule(all)];
  if (!success || wrong.length > 0) throw new ConfigError([...new Set(wrong)]);
  const embedded = output.DATABASE_URL === undefined;
  return {
    isolation: output.ISOLATION,
    host: output.HOST,
    port: output.PORT,
    databaseUrl: output.DATABASE_URL ?? null,
    redisUrl: output.REDIS_URL ?? null,
    resolution: output.RESOLUTION,
    baseDomain: output.BASE_DOMAIN,
    adminToken: output.ADMIN_TOKEN ?? null,
    metricsToken: output.METRICS_TOKEN ?? null,
    demo: output.DEMO === undefined ? embedded : output.DEMO === '1',
    smtpUrl: output.SMTP_URL ?? null,
    trustedProxies: output.TRUSTED_PROXIES,
    corsOrigins: output.CORS_ORIGINS,
    connections: output.DB_CONNECTIONS,
    shutdownDelayMs: output.SHUTDOWN_DELAY_MS,
    keepAliveMs: output.KEEP_ALIVE_SECONDS * msPerSecond,
    logLevel: output.LOG_LEVEL,
    dataFolder: output.DATA_DIR,
    sqlFolder: join(projectFolder, 'sql'),
    packageFile: join(projectFolder, 'package.json'),
  };
}

/** @throws {ConfigError} when the token in a file is weak, because the file was edited. */
export function assertStrongToken(token: string, file: string): void {
  if (v.is(operatorToken, token)) return;
  throw new ConfigError([
    `Cannot use ${file}: expected at least 32 visible ASCII characters; delete the file to get a new token`,
  ]);
}
