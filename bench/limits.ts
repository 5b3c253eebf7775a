/** Every bound of the lab, and the conditions of all measurements. */

const seconds = 1_000;
const minutes = 60 * seconds;

/** The same in every run, so that runs can be compared. */
export const conditions = {
  /** Database connections of each server under load; the baselines' pools have the same size. */
  pool: 16,
  /** For suites that do not vary it. */
  connections: 32,
  tenants: 200,
  petsPerTenant: 50,
  /** Tenants of database mode that stay warm: two connections of the pool for each. */
  warmDatabases: 8,
  /** Tenants in the caches when memory is measured. */
  knownTenants: 10_000,
  /** One request in so many goes to a tenant other than the hot one. */
  coldShare: 10,
  /** One request in so many of the mix creates a pet. */
  mixCreates: 5,
  /** The seed of random numbers. */
  seed: 20_261_123,
} as const;

export const limits = {
  /** Random requests of a case, divided between its connections. */
  drawnRequests: 2_048,
  startMs: 60 * seconds,
  pollMs: 20,
  /** A child that does not stop is killed after this time. */
  stopMs: 15 * seconds,
  /** The time that a load may take beyond its duration. */
  loadGraceMs: 30 * seconds,
  requestMs: 10 * seconds,
  /** For some thousand requests, each sent once. */
  sweepMs: 2 * minutes,
  /** The load on a new server before anything is measured. */
  runInMs: 3 * seconds,
  /** Output of a crashed child that is shown. */
  tailLines: 8,
  tailBytes: 16_384,
  /** For the lab's own connection to Postgres. */
  connectSeconds: 5,
  statementMs: 5 * minutes,
  /** Onboardings at once, as many as the product allows. */
  onboardings: 3,
  seedings: 8,
  embedded: { maxConnections: 400, sharedBuffersMb: 256 },
  /** Connections that the server of `DATABASE_URL` must allow. */
  serverConnections: 350,
  sampleEveryMs: 50,
  /** Tenants whose replies are checked before a case is timed. */
  checkedTenants: 2,
  checkMs: 10 * seconds,
  /** Rows of one insert. */
  rowsPerStatement: 2_000,
} as const;
