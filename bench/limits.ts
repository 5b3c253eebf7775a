/** Every bound of the lab with its name, and the conditions that all figures are taken under. */

const seconds = 1_000;
const minutes = 60 * seconds;

/** What is the same in every run, so that two runs can be compared. */
export const conditions = {
  /** Database connections of each server under load; the baselines' pools have the same size. */
  pool: 16,
  /** Where no curve is drawn over them. */
  connections: 32,
  tenants: 200,
  petsPerTenant: 50,
  /** Tenants of database mode that stay warm: two connections of the pool for each. */
  warmDatabases: 8,
  /** Tenants whose being known costs memory. */
  knownTenants: 10_000,
  /** One request in so many goes to somebody else than the hot tenant. */
  coldShare: 10,
  /** One request in so many of the mix creates a pet. */
  mixCreates: 5,
  /** The first draw is the same in every run. */
  seed: 20_261_123,
} as const;

export const limits = {
  /** Requests that are drawn for a case and dealt to its connections. */
  drawnRequests: 2_048,
  startMs: 60 * seconds,
  pollMs: 20,
  /** A child that was asked to end is killed after this time. */
  stopMs: 15 * seconds,
  /** What a load may take beyond its own duration. */
  loadGraceMs: 30 * seconds,
  requestMs: 10 * seconds,
  /** Some thousand requests, each once. */
  sweepMs: 2 * minutes,
  /** A server under load before anything is counted. */
  runInMs: 3 * seconds,
  /** Of a child's words when it has crashed. */
  tailLines: 8,
  tailBytes: 16_384,
  /** One statement of the lab's own connection to Postgres. */
  connectSeconds: 5,
  statementMs: 5 * minutes,
  /** Onboardings at once: as many as the product works on. */
  onboardings: 3,
  seedings: 8,
  embedded: { maxConnections: 400, sharedBuffersMb: 256 },
  /** Connections that a run needs of a Postgres that is not the lab's. */
  serverConnections: 350,
  sampleEveryMs: 50,
  /** Tenants whose answers are looked at before a case is timed. */
  checkedTenants: 2,
  checkMs: 10 * seconds,
  /** What fits into one statement. */
  rowsPerStatement: 2_000,
} as const;
