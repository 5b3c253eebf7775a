/**
 * Every bound, grouped as the folders of `src` are: all that grows or waits has its limit here, and its
 * unit in its name. A number without a unit is a count.
 */

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

/** A pool where it is said no other way: one for work of our own, which may wait. */
const pool = {
  waitingPerTenant: 256,
  waiting: 256,
  waitLimitMs: 30 * seconds,
  idleLimitMs: 10 * seconds,
  spareMs: 1 * seconds,
  batches,
};

export const limits = {
  // src/http/

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

  // src/server/

  admission: { requests: 1_000, bodies: 1_000, bodiesPerTenant: 100 },
  /** The longest that a tenant waits for an answer, whatever the limits on the way add up to. */
  answerMs: 4.5 * seconds,
  /** Ids of requests that share one call for random bytes: 4 KiB of them. */
  requestIdBatchSize: 256,
  /** What `/readyz` asks of the database, for everybody together. */
  ready: { limitMs: 1 * seconds, freshMs: 250 },
  /**
   * How often a serving process says that it is there, and when one that is not heard of counts as gone.
   */
  processes: { heartbeatMs: 10 * seconds, heartbeatTimeoutMs: 60 * seconds },
  /** How often work that a killed process left behind is looked for. */
  maintenanceIntervalMs: 1 * minutes,

  // src/adapters/

  directory: { entries: 20_000, staleAfterMs: 30 * seconds, clockMs: 100, announced: 16 },
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
  loginThrottle: {
    burst: 50,
    perHour: 3_600,
    delayMs: 500,
    waitingPerAddress: 16,
    waiting: 200,
    addresses: 10_000,
  },
  /**
   * First answers to requests with an Idempotency-Key. A claim outlasts all that an attempt may wait
   * for; answers are at most 16 KiB each, which the table holds.
   */
  idempotency: {
    keptMs: 1 * days,
    claimMs: 10 * seconds,
    perTenant: 100_000,
    batchSize: 50_000,
  },
  denials: {
    held: 1_000,
    flushEveryMs: 1 * seconds,
    gatherForMs: 1 * minutes,
    anonymousRows: 30,
  },
  usage: { flushEveryMs: 1 * seconds },

  // src/mail/

  outbox: {
    batch: 10,
    intervalMs: 5 * seconds,
    sendMs: 8 * seconds,
    flushMs: 2 * seconds,
    giveUpAfterMs: 5 * days,
    errorChars: 500,
  },
  smtp: { connectionMs: 3 * seconds, greetingMs: 3 * seconds, silenceMs: 5 * seconds },

  // src/observability/

  metrics: {
    // From what a cached answer takes to past `answerMs`.
    bucketsSeconds: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    tenants: 200,
    ranked: 2_000,
    windowMs: 10 * minutes,
  },
  /** The same warning is logged once in this time; so many different ones are told apart. */
  throttledLog: { everyMs: 10 * seconds, things: 100 },
  log: {
    gatherMs: 10,
    gatherChars: 64 * KiB,
    backlogBytes: 1 * MiB,
    valueChars: 4 * KiB,
    flushMs: 500,
  },

  // src/postgres/

  /** One connection of a tenant: what a request may ask of the database. */
  connection: {
    connectTimeoutMs: 3 * seconds,
    statementTimeoutMs: 2 * seconds,
    lockTimeoutMs: 500,
    idleInTransactionTimeoutMs: 3 * seconds,
    callTimeoutMs: 4 * seconds,
    ...tenantsSession,
  },
  /** Of the tenants' connections, one tenant may hold a quarter; `DB_CONNECTIONS` says how many there are. */
  connections: {
    ...pool,
    /**
     * With 4 connections and calls of 30 ms the last of these is served within `waitLimitMs`; of slower
     * calls more would only wait to be refused. It takes 7 such tenants to use up `admission.requests`.
     */
    waitingPerTenant: 128,
    waiting: 4_096,
    waitLimitMs: 1 * seconds,
    idleLimitMs: 5 * minutes,
    /** Sealed envelopes that are kept, all connections together: about half a kilobyte each. */
    envelopes: 16_000,
    /** Tenants whose schema or database name is remembered. */
    placements: 10_000,
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
    ...pool,
    connections: 4,
    // Full batches on each of them.
    connectionsPerTenant: 4 * batches.statements,
    waitingPerTenant: 4_096,
    waiting: 4_096,
    waitLimitMs: 3 * seconds,
    idleLimitMs: 5 * minutes,
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
  adminConnections: { ...pool, connections: 8, connectionsPerTenant: 8 },
  /** The connection that ends backends which outlive their connections. */
  terminatorConnections: {
    ...pool,
    connections: 1,
    connectionsPerTenant: 1,
    waitingPerTenant: 1,
    waiting: 1,
    waitLimitMs: 3 * seconds,
  },
  unterminated: {
    firstDelayMs: 10,
    longestDelayMs: 500,
    warnAfterMs: 1 * seconds,
    unseenMs: 1 * minutes,
  },
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

  // src/control_plane/

  /** Sessions of the migrations' login. Work that asks for one holds an administrator's connection. */
  migrators: { ...pool, connections: 8, connectionsPerTenant: 8 },
  /** Onboardings and deletions at once, one per slug; further ones wait. */
  jobs: { ...pool, connections: 3, connectionsPerTenant: 1, waitingPerTenant: 64 },
  recoveryBatchSize: 50,
  /** Dropping a database waits for every backend of the server, and one may be stuck. */
  dropTimeoutMs: 10 * seconds,
  migrations: {
    /** The most schemas at the same time: each takes one of the administrator's connections. */
    schemas: 8,
    canaries: 1_000,
    lockTimeoutMs: 200,
    lockAttempts: 10,
    lockRetryMs: 500,
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
   * The connection that asks for the seals' secret: it must not hang for as long as the old key is good.
   */
  sealConnections: {
    ...pool,
    connections: 1,
    connectionsPerTenant: 1,
    waitingPerTenant: 2,
    waiting: 2,
    waitLimitMs: 3 * seconds,
    idleLimitMs: 1 * minutes,
  },
  /** What a verification of the audit trail reads at once, and what it names of one chain. */
  verification: {
    chainBatchSize: 100,
    eventBatchSize: 1_000,
    eventBytes: 16 * KiB,
    maxFindings: 100,
  },
  /** `named`: the broken chains that a log line names. */
  checkpoints: { bytes: 4 * MiB, chainBatchSize: 1_000, lastMs: 2 * seconds, named: 10 },
  /** Tenants' own databases that the doctor looks into at the same time. */
  doctor: { databases: 4 },

  // src/embedded_postgres/

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

  // src/main.ts

  /**
   * `delayMs` where `SHUTDOWN_DELAY_MS` is unset; how long a shutdown may take after the delay, and its
   * parts. An idle connection outlives the listener by `idleMs`: a request may be on its way there.
   */
  shutdown: { delayMs: 500, totalMs: 9 * seconds, idleMs: 1 * seconds, drainMs: 5 * seconds },
} as const;
