/**
 * The limits, in groups like the folders of `src`: everything that grows or waits has one, with its unit in its
 * name. A number without a unit is a count. Sizes of pages and buffers stand beside the code that reads them.
 */

const seconds = 1_000;
const minutes = 60 * seconds;
const hours = 60 * minutes;
const days = 24 * hours;
const KiB = 1_024;
const MiB = 1_024 * KiB;

/**
 * JSON from the database, whose values a tenant may have written: eight times the largest that the routes
 * write, with the nesting of a request body.
 */
const json = { chars: 16 * KiB, depth: 32 };
/** What a server may send, and make this process compute, before authentication. */
const startup = { startupBytes: 64 * KiB, scramIterations: 1_000_000 };

/** Limits of one connection: prepared statements, and bytes of a result. */
const session = { ...startup, statements: 500, answerBytes: 64 * MiB, json };

/** Limits of a connection that works on tenants' rows. */
const rowsSession = { ...session, byKey: true };

/**
 * Limits of a connection that serves tenants: a result of twice the largest page. Parsing it blocks the
 * event loop for about 50 ms, and the parsed JSON or rows take thirty times the memory.
 */
const tenantsSession = { ...rowsSession, answerBytes: 512 * KiB };

/** Reads that are sent together on one connection. */
const batches = {
  statements: 8,
  stallMs: 3,
  slowMs: 20,
  aloneMs: 1 * seconds,
  slowTenants: 1_000,
  urls: 1_000,
};

/** Defaults of a pool: for internal work, which may wait. */
const pool = {
  waitingPerTenant: 256,
  waiting: 256,
  waitLimitMs: 30 * seconds,
  idleLimitMs: 10 * seconds,
  spareMs: 1 * seconds,
  /** A server besides the main one that hangs leaves a quarter of the connections to the others. */
  serverShare: 0.75,
  openingShare: 0.25,
  openAfterMs: 100,
  openingPerUrl: 8,
  downMs: 1 * seconds,
  batches,
};

/** All limits, by the part of `src` that keeps them. */
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
    /** Default of `KEEP_ALIVE_SECONDS`: longer than the keep-alive of proxies, which is 60 s in nginx. */
    keepAliveMs: 65 * seconds,
    connections: 10_000,
    backlog: 4_096,
    pipelined: 16,
    /** `connectionBytes` has room for 16 of the largest pages. */
    unread: {
      replyBytes: 4 * KiB,
      connectionBytes: 8 * MiB,
      holderBytes: 32 * MiB,
      bytes: 128 * MiB,
    },
    lingerMs: 2 * seconds,
    receiveMs: 15 * seconds,
    streamMs: 10 * minutes,
  },

  // src/server/

  admission: { requests: 1_000, bodies: 1_000, bodiesPerTenant: 100 },
  /** The longest time that a tenant waits for a response, whatever the sum of the other limits. */
  answerMs: 4.5 * seconds,
  /** Ids of requests that share one call for random bytes: 4 KiB of them. */
  requestIdBatchSize: 256,
  /** The database check of `/readyz`; concurrent requests share one. */
  ready: { limitMs: 1 * seconds, freshMs: 250 },
  /** How often a serving process sends a heartbeat, and after which time without one it counts as dead. */
  processes: { heartbeatMs: 10 * seconds, heartbeatTimeoutMs: 60 * seconds },
  /** How often a process looks for unfinished work of killed ones. */
  maintenanceIntervalMs: 1 * minutes,

  // src/adapters/

  directory: { entries: 20_000, staleAfterMs: 30 * seconds, clockMs: 100, announced: 16 },
  limiter: {
    /** Token buckets in one process; the least recently used one is dropped, and starts full again. */
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
   * Stored responses to requests with an Idempotency-Key. `claimMs` is longer than any attempt may take.
   * The table limits a response to 16 KiB.
   */
  idempotency: {
    keptMs: 1 * days,
    claimMs: 10 * seconds,
    perTenant: 100_000,
    batchSize: 50_000,
  },
  denials: {
    held: 1_000,
    heldPerTenant: 50,
    flushEveryMs: 1 * seconds,
    gatherForMs: 1 * minutes,
    singleRows: 10,
    anonymousRows: 30,
  },
  usage: { flushEveryMs: 1 * seconds },

  // src/explain/

  /** Explained requests: how many are kept, and the most of each that is recorded. */
  explain: {
    keptMs: 1 * minutes,
    kept: 100,
    keptOfOne: 20,
    calls: 10,
    groups: 10,
    messages: 20,
    valueChars: 100,
    sqlChars: 2_000,
  },

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
    // From the time of a cached response to more than `answerMs`.
    bucketsSeconds: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    tenants: 200,
    ranked: 2_000,
    windowMs: 10 * minutes,
  },
  /** The same warning is logged once in `everyMs`; `maxKeys` different ones are remembered. */
  throttledLog: { everyMs: 10 * seconds, maxKeys: 100 },
  log: {
    gatherMs: 10,
    gatherChars: 64 * KiB,
    backlogBytes: 1 * MiB,
    valueChars: 4 * KiB,
    flushMs: 500,
  },

  // src/postgres/

  /** A connection that serves tenants. */
  connection: {
    connectTimeoutMs: 3 * seconds,
    statementTimeoutMs: 2 * seconds,
    lockTimeoutMs: 500,
    idleInTransactionTimeoutMs: 3 * seconds,
    callTimeoutMs: 4 * seconds,
    ...tenantsSession,
  },
  /** The pool that serves tenants: `DB_CONNECTIONS` is its size, and one tenant may use a quarter of it. */
  connections: {
    ...pool,
    /**
     * With 4 connections and calls of 30 ms, the last one is served within `waitLimitMs`; with slower calls, more
     * waiting ones would be refused anyway. 8 tenants at this bound use up `admission.requests`.
     */
    waitingPerTenant: 128,
    waiting: 4_096,
    waitLimitMs: 1 * seconds,
    idleLimitMs: 5 * minutes,
    openingPerUrl: 2,
    /** Cached envelopes with seals, of all connections together: about half a kilobyte each. */
    envelopes: 16_000,
    /** Cached placements of tenants. */
    placements: 10_000,
  },
  /** A change of the operator may have to wait for a transaction of a tenant. */
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
    // The directory may fill every connection with batches.
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
    // The list of all tenants is one JSON value.
    json: { ...json, chars: session.answerBytes },
  },
  /** A connection that finds out whether another server can be used; a start waits for it. */
  probeConnection: {
    connectTimeoutMs: 3 * seconds,
    statementTimeoutMs: 1 * seconds,
    lockTimeoutMs: 1 * seconds,
    idleInTransactionTimeoutMs: 1 * seconds,
    callTimeoutMs: 1 * seconds,
    ...session,
  },
  /** The connections of a move, whose snapshot stays open while all rows are copied. */
  moverConnection: {
    connectTimeoutMs: 5 * seconds,
    statementTimeoutMs: 10 * minutes,
    lockTimeoutMs: 30 * seconds,
    idleInTransactionTimeoutMs: 10 * minutes,
    callTimeoutMs: 12 * hours,
    ...rowsSession,
  },
  adminConnections: { ...pool, connections: 8, connectionsPerTenant: 8 },
  /**
   * The connections that terminate backends whose connection was closed: one for the main server, and one for
   * all others.
   */
  terminatorConnections: {
    ...pool,
    connections: 2,
    connectionsPerTenant: 2,
    waitingPerTenant: 2,
    waiting: 2,
    serverShare: 0.5,
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
    /** How often the server is probed, and how long its response may take. */
    probeMs: 5 * seconds,
  },

  // src/control_plane/

  /**
   * Sessions of the migrations' login. Work that asks for one holds an administrator's connection. Other
   * processes share the login's limit, so idle ones are closed soon.
   */
  migrators: { ...pool, connections: 8, connectionsPerTenant: 8, idleLimitMs: 1 * seconds },
  /**
   * The connections that hold the locks of jobs: of onboardings and deletions, one for each slug, of migrations, and
   * of rotations of the seals. Further jobs wait.
   */
  jobLocks: {
    ...pool,
    connections: 4,
    connectionsPerTenant: 1,
    waiting: 1_000,
    waitingPerTenant: 64,
  },
  recoveryBatchSize: 50,
  /** Dropping a database waits for every backend of the server, and one of them may be stuck. */
  dropTimeoutMs: 10 * seconds,
  /** Work on many rows takes a quarter of the time, and the requests of tenants find the rest free. */
  pace: { restFactor: 3, longestRestMs: 100 },
  /** A restore rests less, because its tenant waits for it; even less while the tenant's writes are stopped. */
  restorePace: { restFactor: 1, longestRestMs: 100 },
  stoppedPace: { restFactor: 0.5, longestRestMs: 50 },
  migrations: {
    /**
     * The most transactions of migrations at the same time, each for up to `together.schemas` schemas: each uses an
     * administrator's connection, and all may be on one added server (`serverShare`).
     */
    schemas: 6,
    /** The most that an operator may ask for; more than `schemas` means `schemas`. */
    workers: 1_000,
    canaries: 1_000_000,
    lockTimeoutMs: 200,
    lockAttempts: 10,
    lockRetryMs: 500,
    /**
     * Schemas in one transaction. Their tables are locked until it ends, about a millisecond for each, so a
     * batch that takes longer than this, or waits for a lock, is left to a transaction for each schema.
     */
    together: {
      schemas: 10,
      lockTimeoutMs: 20,
      statementTimeoutMs: 250,
      transactionTimeoutMs: 500,
    },
    /** The longest error of a tenant's failed migration that the registry keeps. */
    errorChars: 500,
  },
  moves: {
    /**
     * Rows, and about as many bytes of rows, that are copied with one statement. Few: while it runs, the requests of
     * others wait for a processor.
     */
    batchRows: 25,
    batchBytes: 1 * MiB,
    /** A commit costs as much as some rows. But until then, no other move can lock the shared tables. */
    batchesPerCommit: 5,
    /** Rows that are compared with one statement. */
    comparedRows: 100,
    /** Changed rows that are copied with one statement. */
    changesBatchRows: 200,
    /** Writes are stopped when at most so many changed rows were left to copy. */
    fewChanges: 50,
    /** Rounds in which the copy may catch up with the tenant's writes. */
    catchUps: 200,
    /** Rounds one after the other in which more was to be copied than in the one before. */
    growingCatchUps: 8,
    /** How long the fence may wait for transactions that write; then it is lifted, and tried again. */
    fenceWaitMs: 150,
    fenceAttempts: 40,
    fenceRetryMs: 250,
    /** How long an old database is kept for exports, for sessions with a statement, and for those without one. */
    exportSessionsMs: 5 * minutes,
    busySessionsMs: 5 * seconds,
    idleSessionsMs: 500,
    pollMs: 20,
    exportPollMs: 500,
    /** How often the registry learns how many rows have been copied. */
    progressMs: 500,
    /** How long a process that works on a move may hang, before another one takes the move over. */
    lockSilenceMs: 30 * seconds,
    /** The longest error of a failed move that the registry keeps. */
    errorChars: 500,
    firstLockTimeoutMs: 20,
    longestLockTimeoutMs: 200,
    lockAttempts: 50,
    lockRetryMs: 200,
    /** The removal of triggers is not urgent. */
    removal: {
      firstLockTimeoutMs: 20,
      longestLockTimeoutMs: 20,
      lockAttempts: 20,
      lockRetryMs: 1 * seconds,
    },
  },
  /** How a statement follows a tenant that moves. `patienceMs` is shorter than `answerMs`. */
  relocation: { retryMs: 10, probeMs: 100, stuckMs: 1 * seconds, patienceMs: 3 * seconds },
  /** The connections that copy: two for each of the moves that `moveLocks` admits, and two for recoveries. */
  movers: { ...pool, connections: 8, connectionsPerTenant: 2 },
  /** The connections that hold the locks of moves. A second process takes one to find the lock taken. */
  moveLocks: { ...pool, connections: 3, connectionsPerTenant: 2 },
  /** A second recovery of a tenant takes one to find the lock taken. */
  recoveryLocks: { ...pool, connections: 4, connectionsPerTenant: 2 },
  /**
   * A query for all tenants: tenants at the same time, and rows of each. A tenant's result has the limits of
   * `connection`, as a request of that tenant has.
   */
  fleetQuery: { concurrency: 8, rows: 1_000 },
  seals: {
    /** How often a process reads the secret, in case it missed an announcement. */
    refreshMs: 10 * seconds,
    /** How long the old key stays valid, so that every process learns the new one in time. */
    propagationMs: 60 * seconds,
    /** Databases that are updated at the same time. */
    concurrency: 4,
  },
  /** The connection that reads the secret of the seals: it must fail before the old key is removed. */
  sealConnections: {
    ...pool,
    connections: 1,
    connectionsPerTenant: 1,
    waitingPerTenant: 2,
    waiting: 2,
    waitLimitMs: 3 * seconds,
    idleLimitMs: 1 * minutes,
  },
  /** Sizes of the reads of an audit verification, and the faults that it lists for one chain. */
  verification: {
    chainBatchSize: 100,
    eventBatchSize: 1_000,
    eventBytes: 16 * KiB,
    maxFaults: 100,
  },
  /** `named` is the number of rewritten chains that a log line names. */
  checkpoints: { bytes: 4 * MiB, chainBatchSize: 1_000, shutdownMs: 2 * seconds, named: 10 },
  archive: {
    lineBytes: 1 * MiB,
    unpackedBytes: 64 * 1_024 * MiB,
    /** The longest result of a fetch is this number of the longest lines. */
    fetchedRows: 128,
    accountRows: 100_000,
    accountBytes: 32 * MiB,
    cyclicBytes: 32 * MiB,
  },
  /** How long a tenant's own admins wait for the next export. */
  exports: { everyMs: 1 * hours },
  /** Downloaded archives that wait for their clients on the disk of this process: 4 GiB in all. */
  downloads: { bytes: 256 * MiB, downloads: 16 },
  /** The owner's connections for archives. */
  archiveConnection: {
    connectTimeoutMs: 5 * seconds,
    statementTimeoutMs: 5 * minutes,
    lockTimeoutMs: 5 * seconds,
    idleInTransactionTimeoutMs: 1 * minutes,
    callTimeoutMs: 2 * hours,
    ...rowsSession,
    answerBytes: 130 * MiB,
    // The columns of a table are one JSON value.
    json: { ...json, chars: 1 * MiB },
  },
  archiveConnections: {
    ...pool,
    connections: 3,
    connectionsPerTenant: 1,
    waiting: 16,
    waitLimitMs: 3 * seconds,
  },
  /** How a server that hangs is found while there is work on it. */
  serverWatch: { everyMs: 5 * seconds, failures: 2 },
  /** Tenants' own databases that the doctor examines at the same time. */
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
   * `delayMs` is the default of `SHUTDOWN_DELAY_MS`; `totalMs` is the longest time after the delay. An idle
   * connection stays open for `idleMs` after the listener closes, because a request may be on its way.
   */
  shutdown: { delayMs: 500, totalMs: 9 * seconds, idleMs: 1 * seconds, drainMs: 5 * seconds },
} as const;
