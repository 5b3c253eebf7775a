/**
 * The environment, read once, and every bound with its name. What else is asked of `process.env` is
 * held by a test, and what grows or waits has its limit here.
 */
import type { BlockList } from 'node:net';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';
import { redisAddress } from './adapters/limiter/redis_url.ts';
import { withFiles } from './environment_files.ts';
import { parseOrigin } from './http/cors.ts';
import { trustedProxies } from './http/trusted_proxies.ts';
import { type IsolationMode, isolationModes } from './kernel/tenant.ts';
import { smtpServer } from './mail/smtp_url.ts';
import type { LogLevel } from './observability/log_line.ts';
import { connectionOptions } from './postgres/connection_options.ts';
import { ConnectionUrlError, keywordsIn } from './postgres/connection_url.ts';
import { targetOf } from './postgres/session_url.ts';
import { assertTlsFiles } from './postgres/tls.ts';

const projectFolder = fileURLToPath(new URL('..', import.meta.url));

const seconds = 1_000;
const minutes = 60 * seconds;
const hours = 60 * minutes;
const days = 24 * hours;
const KiB = 1_024;
const MiB = 1_024 * KiB;

/**
 * JSON that is parsed, of which a tenant may have written each value: eight times the largest that the
 * routes write, nested as in the body of a request.
 */
const json = { chars: 16 * KiB, depth: 32 };
/** What a server may send, and have us compute, before it knows us. */
const startup = { startupBytes: 64 * KiB, scramIterations: 1_000_000 };

/** What one connection may keep: prepared statements, and bytes of an answer. */
const session = { ...startup, statements: 500, answerBytes: 64 * MiB, json };

/**
 * Of what tenants ask: twice the largest page. To read it stops everything else for some 50 ms, and
 * what comes of it takes thirty times as much: JSON, or rows of many columns.
 */
const tenantsSession = { ...session, answerBytes: 512 * KiB };

/** Reads that travel together on one connection. */
const batches = {
  statements: 8,
  stallMs: 3,
  slowMs: 20,
  aloneMs: 1 * seconds,
  slowTenants: 1_000,
};

export const limits = {
  http: {
    headerBytes: 8 * KiB,
    headerLines: 100,
    targetLength: 4 * KiB,
    body: { bytes: 16 * KiB, wireBytes: 64 * KiB, depth: 32 },
    fieldErrors: 50,
    headersMs: 5 * seconds,
    requestMs: 15 * seconds,
    timeoutCheckMs: 1 * seconds,
    /** Where `KEEP_ALIVE_SECONDS` is unset: longer than proxies keep theirs, 60 s in nginx. */
    keepAliveMs: 65 * seconds,
    connections: 10_000,
    backlog: 4_096,
    pipelined: 16,
    /** `connectionBytes` holds 16 of the largest pages. */
    unread: {
      replyBytes: 4 * KiB,
      connectionBytes: 8 * MiB,
      holderBytes: 32 * MiB,
      bytes: 128 * MiB,
    },
    lingerMs: 2 * seconds,
    receiveMs: 15 * seconds,
  },
  /** Ids of requests that share one call for random bytes: 4 KiB of them. */
  requestIdsAtOnce: 256,
  admission: { requests: 1_000, bodies: 1_000, bodiesPerTenant: 100 },
  /** The longest that a tenant waits for an answer, whatever the limits on the way add up to. */
  answerMs: 4.5 * seconds,
  /** One connection of a tenant: what a request may ask of the database. */
  connection: {
    connectTimeoutMs: 3 * seconds,
    statementTimeoutMs: 2 * seconds,
    lockTimeoutMs: 500,
    idleInTransactionTimeoutMs: 3 * seconds,
    callTimeoutMs: 4 * seconds,
    ...tenantsSession,
  },
  /** Of the tenants' connections, one tenant may hold a quarter. */
  connections: {
    /**
     * With 4 connections and calls of 30 ms the last of these is served within `waitLimitMs`; of slower
     * calls more would only wait to be refused. It takes 7 such tenants to use up `admission.requests`.
     */
    waitingPerTenant: 128,
    waiting: 4_096,
    waitLimitMs: 1 * seconds,
    idleLimitMs: 5 * minutes,
    spareMs: 1 * seconds,
    batches,
    /** Sealed envelopes that are kept, all connections together: about half a kilobyte each. */
    envelopes: 16_000,
    /** Tenants whose schema or database name is remembered. */
    places: 10_000,
  },
  /** What the operator changes may have to wait for what a tenant is just recording. */
  controlConnection: {
    connectTimeoutMs: 3 * seconds,
    statementTimeoutMs: 3.5 * seconds,
    lockTimeoutMs: 3 * seconds,
    idleInTransactionTimeoutMs: 3 * seconds,
    callTimeoutMs: 4 * seconds,
    ...session,
  },
  /** The directory's and the operator's own connections. */
  controlConnections: {
    connections: 4,
    // Full batches on each of them.
    connectionsPerTenant: 4 * batches.statements,
    waitingPerTenant: 4_096,
    waiting: 4_096,
    waitLimitMs: 3 * seconds,
    idleLimitMs: 5 * minutes,
    spareMs: 1 * seconds,
    batches,
  },
  /** The administrator's connections: for schemas, databases and migrations, which take longer. */
  adminConnection: {
    connectTimeoutMs: 5 * seconds,
    statementTimeoutMs: 5 * minutes,
    lockTimeoutMs: 30 * seconds,
    idleInTransactionTimeoutMs: 1 * minutes,
    callTimeoutMs: 5 * minutes,
    ...session,
    // All tenants as one value.
    json: { ...json, chars: session.answerBytes },
  },
  adminConnections: {
    connections: 8,
    connectionsPerTenant: 8,
    waitingPerTenant: 256,
    waiting: 256,
    waitLimitMs: 30 * seconds,
    idleLimitMs: 10 * seconds,
    spareMs: 1 * seconds,
    batches,
  },
  /** Sessions of the migrations' login. Work that asks for one holds an administrator's connection. */
  migrators: {
    connections: 8,
    connectionsPerTenant: 8,
    waitingPerTenant: 256,
    waiting: 256,
    waitLimitMs: 30 * seconds,
    idleLimitMs: 10 * seconds,
    spareMs: 1 * seconds,
    batches,
  },
  /** Onboardings and deletions at once, one per slug; further ones wait. */
  jobs: {
    connections: 3,
    connectionsPerTenant: 1,
    waitingPerTenant: 64,
    waiting: 256,
    waitLimitMs: 30 * seconds,
    idleLimitMs: 10 * seconds,
    spareMs: 1 * seconds,
    batches,
  },
  migrations: {
    /** The most places at the same time: each takes one of the administrator's connections. */
    places: 8,
    canaries: 1_000,
    lockTimeoutMs: 200,
    lockAttempts: 10,
    lockRetryMs: 500,
  },
  /** Dropping a database waits for every backend of the server, and one may be stuck. */
  dropTimeoutMs: 10 * seconds,
  /** Tenants' own databases that the doctor looks into at the same time. */
  doctor: { databases: 4 },
  directory: { entries: 20_000, staleAfterMs: 30 * seconds, clockMs: 100, announced: 16 },
  listener: {
    connectTimeoutMs: 3 * seconds,
    statementTimeoutMs: 3 * seconds,
    lockTimeoutMs: 3 * seconds,
    idleInTransactionTimeoutMs: 3 * seconds,
    ...startup,
    /** An announcement has at most 8 000 bytes. */
    messageBytes: 64 * KiB,
    retryAfterMs: 250,
    /** How often the server is asked whether it is there, and how long it may take to answer. */
    probeMs: 5 * seconds,
  },
  limiter: {
    /** Budgets that one process keeps; the least recently used one starts full again. */
    buckets: 100_000,
    probeDelayMs: 500,
    redis: {
      commandTimeoutMs: 50,
      connectTimeoutMs: 1 * seconds,
      silenceTimeoutMs: 1 * seconds,
      reconnectDelayMs: 500,
    },
  },
  guesses: {
    burst: 50,
    perHour: 3_600,
    delayMs: 500,
    waitingPerAddress: 16,
    waiting: 200,
    addresses: 10_000,
  },
  /**
   * The connection that asks for the seals' secret: it must not hang for as long as the old key is good.
   */
  sealConnections: {
    connections: 1,
    connectionsPerTenant: 1,
    waitingPerTenant: 2,
    waiting: 2,
    waitLimitMs: 3 * seconds,
    idleLimitMs: 1 * minutes,
    spareMs: 1 * seconds,
    batches,
  },
  /** The connection that ends backends which outlive their connections. */
  terminatorConnections: {
    connections: 1,
    connectionsPerTenant: 1,
    waitingPerTenant: 1,
    waiting: 1,
    waitLimitMs: 3 * seconds,
    idleLimitMs: 10 * seconds,
    spareMs: 1 * seconds,
    batches,
  },
  unterminated: {
    firstDelayMs: 10,
    longestDelayMs: 500,
    warnAfterMs: 1 * seconds,
    unseenMs: 1 * minutes,
  },
  seals: {
    /** How often a process looks whether their key was replaced, should it not hear of it. */
    refreshMs: 10 * seconds,
    /** How long the old key stays good, for a process that hears of the new one last. */
    propagationMs: 60 * seconds,
    /** Databases that are told at the same time. */
    concurrency: 4,
  },
  /**
   * First answers to requests with an Idempotency-Key. A claim outlasts all that an attempt may wait
   * for; answers are at most 16 KiB each, which the table holds.
   */
  idempotency: {
    keptMs: 1 * days,
    claimMs: 10 * seconds,
    perTenant: 100_000,
    clearedAtOnce: 50_000,
  },
  denials: {
    held: 1_000,
    flushEveryMs: 1 * seconds,
    gatherForMs: 1 * minutes,
    anonymousRows: 30,
  },
  /** What a verification of the audit trail reads at once, and what it names of one chain. */
  verification: {
    chainsAtOnce: 100,
    eventsAtOnce: 1_000,
    eventBytes: 16 * KiB,
    mostFindings: 100,
  },
  /** `named`: the broken chains that a log line names. */
  checkpoints: { bytes: 4 * MiB, chainsAtOnce: 1_000, lastMs: 2 * seconds, named: 10 },
  usage: { flushEveryMs: 1 * seconds },
  outbox: {
    batch: 10,
    intervalMs: 5 * seconds,
    sendMs: 8 * seconds,
    flushMs: 2 * seconds,
    giveUpAfterMs: 5 * days,
    errorChars: 500,
  },
  smtp: { connectionMs: 3 * seconds, greetingMs: 3 * seconds, silenceMs: 5 * seconds },
  metrics: {
    // From what a cached answer takes to past `answerMs`.
    bucketsSeconds: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    tenants: 200,
    ranked: 2_000,
    windowMs: 10 * minutes,
  },
  /** The same warning is logged once in this time; so many different ones are told apart. */
  quiet: { everyMs: 10 * seconds, things: 100 },
  log: {
    gatherMs: 10,
    gatherChars: 64 * KiB,
    backlogBytes: 1 * MiB,
    valueChars: 4 * KiB,
    flushMs: 500,
  },
  embedded: {
    watchMs: 1 * seconds,
    createMs: 60 * seconds,
    startMs: 60 * seconds,
    stopSeconds: 2,
    pollMs: 50,
    maxConnections: 100,
    sharedBuffersMb: 128,
    logBytes: 8 * MiB,
    connectSeconds: 5,
    statementMs: 5 * seconds,
  },
  /**
   * `delayMs` where `SHUTDOWN_DELAY_MS` is unset; how long a shutdown may take after the delay, and its
   * parts. An idle connection outlives the listener by `idleMs`: a request may be on its way there.
   */
  shutdown: { delayMs: 500, wholeMs: 9 * seconds, idleMs: 1 * seconds, drainMs: 5 * seconds },
  /** What `/readyz` asks of the database, for everybody together. */
  ready: { limitMs: 1 * seconds, freshMs: 250 },
  /**
   * How often a serving process says that it is there, and when one that is not heard of counts as gone.
   */
  processes: { renewMs: 10 * seconds, goneAfterMs: 60 * seconds },
  /** How often work that a killed process left behind is looked for. */
  upkeepEveryMs: 1 * minutes,
  clearedAtOnce: 50,
} as const;

/** Bad variables, one line each. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly lines: string[];

  constructor(lines: string[]) {
    super(lines.join('\n'));
    this.lines = lines;
  }
}

const strategies = ['subdomain', 'path', 'header'] as const;
type Strategy = (typeof strategies)[number];

/** What the environment says, with a default for the rest. */
export type Config = {
  /** Of new tenants. */
  isolation: IsolationMode;
  host: string;
  /** 0 for any that is free. */
  port: number;
  /** Null for the embedded Postgres. */
  databaseUrl: string | null;
  /** Null for a budget in each process. */
  redisUrl: string | null;
  /** How a request may name its tenant. */
  resolution: readonly Strategy[];
  baseDomain: string;
  adminToken: string | null;
  metricsToken: string | null;
  demo: boolean;
  /** Null for emails as files. */
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

const integer = (least: number, most: number) => {
  const message = `expected an integer from ${least} to ${most}`;
  return v.pipe(
    v.string(),
    v.regex(/^\d{1,9}$/, message),
    v.transform(Number),
    v.minValue(least, message),
    v.maxValue(most, message),
  );
};

/** A text that `read` understands; what it throws must name no value, which may be secret. */
const readBy = <Output>(read: (text: string) => Output) =>
  v.pipe(
    v.string(),
    v.rawTransform<string, Output>(({ dataset, addIssue, NEVER }) => {
      try {
        return read(dataset.value);
      } catch (error) {
        addIssue({ message: error instanceof Error ? error.message : String(error) });
        return NEVER;
      }
    }),
  );

/** They belong to the server: new databases are copies of one, and every tool begins in another. */
const databasesOfServer: ReadonlySet<string> = new Set(['postgres', 'template0', 'template1']);

/** The canonical URL of a database that can be asked for, whose files are there. */
function databaseUrl(text: string): string {
  const keywords = keywordsIn(text);
  const { tls, database } = connectionOptions(keywords);
  if (databasesOfServer.has(database)) {
    throw new ConnectionUrlError(
      `expected a database of its own, and "${database}" is the server's; make one with: create database kennel`,
    );
  }
  assertTlsFiles(tls);
  return targetOf(keywords);
}

const commaSeparated = v.transform((text: string) =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== ''),
);

/** A token that is too long to be guessed; `openssl rand -hex 32` makes one. */
const operatorToken = v.pipe(
  v.string(),
  v.regex(/^[\x21-\x7e]{32,}$/, 'expected at least 32 visible ASCII characters without spaces'),
);

/** An absolute path. Postgres keeps it in a file of lines, and messages are lines too. */
const folder = v.pipe(
  v.string(),
  v.transform((path) => resolve(path)),
  v.regex(/^\P{Cc}+$/u, 'expected a path without line breaks and other control characters'),
);

const variables = v.object({
  ISOLATION: v.optional(
    v.picklist(isolationModes, 'expected shared, schema or database'),
    'shared',
  ),
  HOST: v.optional(v.string(), '127.0.0.1'),
  PORT: v.optional(integer(0, 65_535), '8080'),
  DATABASE_URL: v.optional(readBy(databaseUrl)),
  REDIS_URL: v.optional(readBy((text) => redisAddress(text) && text)),
  RESOLUTION: v.optional(
    v.pipe(
      v.string(),
      commaSeparated,
      v.array(v.picklist(strategies, 'expected a list of subdomain, path and header')),
      v.minLength(1, 'expected a list of subdomain, path and header'),
      v.check((list) => new Set(list).size === list.length, 'expected each strategy once'),
    ),
    strategies.join(),
  ),
  BASE_DOMAIN: v.optional(
    v.pipe(
      v.string(),
      v.toLowerCase(),
      v.regex(
        /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/,
        'expected a domain such as petstore.example',
      ),
    ),
    'localhost',
  ),
  ADMIN_TOKEN: v.optional(operatorToken),
  METRICS_TOKEN: v.optional(operatorToken),
  DEMO: v.optional(v.picklist(['0', '1'], 'expected 0 or 1')),
  SMTP_URL: v.optional(readBy((text) => smtpServer(text) && text)),
  TRUSTED_PROXIES: v.optional(
    v.pipe(
      v.string(),
      commaSeparated,
      v.rawTransform<string[], BlockList>(({ dataset, addIssue, NEVER }) => {
        try {
          return trustedProxies(dataset.value);
        } catch {
          addIssue({ message: 'expected a list of CIDR ranges such as 10.0.0.0/8' });
          return NEVER;
        }
      }),
    ),
    '',
  ),
  CORS_ORIGINS: v.optional(
    v.pipe(
      v.string(),
      commaSeparated,
      v.rawTransform<string[], ReadonlySet<string>>(({ dataset, addIssue, NEVER }) => {
        const origins = dataset.value.map(parseOrigin).filter((origin) => origin !== null);
        if (origins.length === dataset.value.length) return new Set(origins);
        addIssue({ message: 'expected a list of origins such as https://app.example' });
        return NEVER;
      }),
    ),
    '',
  ),
  DB_CONNECTIONS: v.optional(integer(1, 1_000), '16'),
  SHUTDOWN_DELAY_MS: v.optional(integer(0, 60_000), `${limits.shutdown.delayMs}`),
  KEEP_ALIVE_SECONDS: v.optional(integer(1, 3_600), `${limits.http.keepAliveMs / seconds}`),
  LOG_LEVEL: v.optional(
    v.picklist(['debug', 'info', 'warn', 'error'], 'expected debug, info, warn or error'),
    'info',
  ),
  DATA_DIR: v.optional(folder, join(projectFolder, '.data')),
});

/**
 * The configuration in an environment. An empty variable counts as unset.
 *
 * @throws {ConfigError} naming every variable that is wrong; never its value, which may be secret.
 */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const given = Object.entries(environment).flatMap(([name, value]) =>
    value ? [[name, value] as const] : [],
  );
  const { variables: all, problems } = withFiles(Object.fromEntries(given));
  const { success, output, issues } = v.safeParse(variables, all);
  const lines = (issues ?? []).map((issue) => {
    return `Cannot use ${String(issue.path?.[0]?.key)}: ${issue.message}`;
  });
  if (!success || problems.length > 0) throw new ConfigError([...new Set([...problems, ...lines])]);
  if (output.METRICS_TOKEN !== undefined && output.METRICS_TOKEN === output.ADMIN_TOKEN) {
    throw new ConfigError(['Cannot use METRICS_TOKEN: expected another one than ADMIN_TOKEN']);
  }
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
    keepAliveMs: output.KEEP_ALIVE_SECONDS * seconds,
    logLevel: output.LOG_LEVEL,
    dataFolder: output.DATA_DIR,
    sqlFolder: join(projectFolder, 'sql'),
    packageFile: join(projectFolder, 'package.json'),
  };
}

/** @throws {ConfigError} when the token that an earlier start kept in a file was changed to a weak one. */
export function assertStrongToken(token: string, file: string): void {
  if (v.is(operatorToken, token)) return;
  throw new ConfigError([
    `Cannot use ${file}: expected at least 32 visible ASCII characters; without the file a start makes one`,
  ]);
}

/** @throws {ConfigError} when what only a server needs is missing. */
export function assertServable({ databaseUrl, adminToken }: Config): void {
  if (databaseUrl === null || adminToken !== null) return;
  throw new ConfigError(['Cannot use ADMIN_TOKEN: expected one, because DATABASE_URL is set']);
}
