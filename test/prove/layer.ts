/**
 * The layers that isolate one tenant from another, and how the lab takes each of them off: in the
 * kernel's parts, in the database as its superuser, in the connections to it, or at the HTTP edge.
 */
import { accountWithout, databaseWithout, type Names } from './layers_of_the_database.ts';
import { kernelWithout, type LabWorld, type Parts } from './layers_of_the_kernel.ts';

export type LayerName = keyof typeof layers;

export type Layer = {
  /** What the layer does, for the reader of the report. */
  holds: string;
  /** The kernel's parts without it. */
  parts?: (parts: Parts, world: LabWorld) => Parts;
  /** Statements that take it off wherever a tenant's tables are. */
  placement?: (names: Names) => string;
  /** The same for the control schema. */
  control?: (names: Names) => string;
};

/** In the order in which a request meets them. The others are taken off by their name. */
const layers = {
  'strict HTTP': { holds: 'one Host, one length, nothing decoded' },
  'trusted proxies': { holds: 'X-Forwarded-Host counts from listed proxies alone' },
  'operator token': { holds: 'the control plane accepts one bearer token' },
  resolution: { holds: 'host, path and header must agree', parts: kernelWithout.resolution },
  authenticate: { holds: 'a key is well-formed, known and not revoked', parts: kernelWithout.key },
  authorization: {
    holds: "the key's tenant is the named tenant",
    parts: kernelWithout.authorization,
  },
  'tenant status': { holds: 'only an active tenant is served', parts: kernelWithout.tenantStatus },
  'one 404': { holds: 'foreign, unknown and suspended look alike' },
  role: { holds: "a member is refused an admin's actions", parts: kernelWithout.role },
  'own placement': {
    holds: 'rights on one schema or database only',
    ...databaseWithout.ownPlacement,
  },
  'login of one server': {
    holds: "a tenant's login exists on its own server alone",
    ...databaseWithout.loginOfOneServer,
  },
  'password of one server': {
    holds: 'each server has its own passwords',
    ...databaseWithout.passwordOfOneServer,
  },
  'closed database': {
    holds: "a database admits its tenant's login alone",
    ...databaseWithout.noOthersConnect,
  },
  'own tables': {
    holds: "only the tenant's login has rights on its tables",
    ...databaseWithout.noOthersRights,
  },
  'own search_path': { holds: 'search_path names that placement alone' },
  'queries only': { holds: 'only queries are sent for a tenant' },
  'extended protocol': { holds: 'one message, one statement' },
  'local context': { holds: 'role and seal end with the transaction' },
  connection: { holds: 'a session in an uncertain state is never reused' },
  seal: { holds: 'kernel.tenant() accepts no context without its mac', ...databaseWithout.seal },
  'seal of one backend': {
    holds: "a mac covers the backend's pid too",
    ...databaseWithout.sealOfOneBackend,
  },
  'bound seal': { holds: 'a seal is a parameter, never in the text of a statement' },
  'hidden activity': {
    holds: "sessions do not show other sessions' statements",
    ...databaseWithout.hiddenActivity,
  },
  'context needed': {
    holds: 'a statement without a context fails',
    ...databaseWithout.contextNeeded,
  },
  'row security': { holds: 'forced policies on every table', ...databaseWithout.rowSecurity },
  'tenant keys': { holds: 'keys begin with tenant_id', ...databaseWithout.tenantKeys },
  'key table': { holds: 'only their owner reads the seal keys', ...databaseWithout.keyTable },
  'closed capture': {
    holds: 'no serving role has rights on what records the changes of a moving tenant',
    ...databaseWithout.closedCapture,
  },
  'closed archive': {
    holds: 'no serving role has rights on the rows of an archive beside the tables',
    ...databaseWithout.closedArchive,
  },
  fence: {
    holds: 'kernel.tenant() accepts no context from before a move',
    ...databaseWithout.fence,
  },
  'fence table': {
    holds: 'only its owner reads and changes the fences',
    ...databaseWithout.fenceTable,
  },
  'move table': {
    holds: 'only the control plane reads and changes moves',
    ...accountWithout.moveTable,
  },
  'no advisory locks': {
    holds: 'handlers take no advisory locks',
    ...databaseWithout.noAdvisoryLocks,
  },
  'server table': {
    holds: 'only its owner reads the URLs of servers',
    ...accountWithout.serverTable,
  },
  'secret table': {
    holds: "only its owner reads the installation's secret",
    ...accountWithout.secretTable,
  },
  'no settings': { holds: 'handlers change no settings', ...databaseWithout.noSettings },
  'no query texts': {
    holds: 'no function runs a text as a query',
    ...databaseWithout.noQueryTexts,
  },
  'no session control': { holds: 'handlers end no sessions', ...databaseWithout.noSessionControl },
  'no log messages': {
    holds: 'handlers write no messages to the log',
    ...databaseWithout.noLogMessages,
  },
  'rights by column': { holds: 'no right on a whole table', ...databaseWithout.rightsByColumn },
  'no statistics': { holds: 'the planner keeps no values', ...databaseWithout.noStatistics },
  'bounded rows': { holds: 'the table takes no row of megabytes', ...accountWithout.boundedRows },
  'bare login': { holds: 'the login has no rights of its own', ...databaseWithout.bareLogin },
  'no other role': {
    holds: 'the login may set no more powerful role',
    ...databaseWithout.noOtherRole,
  },
  'unprivileged login': {
    holds: 'the login is not a superuser',
    ...databaseWithout.unprivilegedLogin,
  },
  'unprivileged roles': { holds: 'no bypassrls, no files', ...databaseWithout.unprivilegedRoles },
  'owns nothing': { holds: 'tables belong to another role', ...databaseWithout.ownsNothing },
  'creates nothing': { holds: 'no function, table or schema', ...databaseWithout.createsNothing },
  'no DO blocks': {
    holds: 'DO is refused because no language exists',
    ...databaseWithout.noDoBlocks,
  },
  'no temporary tables': { holds: 'TEMP is revoked', ...databaseWithout.noTemporaryTables },
  'security invoker': {
    holds: 'views run with the rights of the caller',
    ...databaseWithout.securityInvoker,
  },
  audience: { holds: 'a trail does not show events about others', ...accountWithout.audience },
} as const satisfies Record<string, Layer>;

export function layerOf(name: LayerName): Layer {
  return layers[name];
}
