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
  'operator token': { holds: 'the control plane knows one bearer' },
  resolution: { holds: 'host, path and header must agree', parts: kernelWithout.resolution },
  authenticate: { holds: 'a key is whole, known and not revoked', parts: kernelWithout.key },
  authorization: {
    holds: "the key's tenant is the one that is named",
    parts: kernelWithout.authorization,
  },
  standing: { holds: 'only an active tenant is served', parts: kernelWithout.standing },
  'one 404': { holds: 'foreign, unknown and suspended look alike' },
  role: { holds: 'what takes an admin is refused to a member', parts: kernelWithout.role },
  'own placement': {
    holds: 'a schema or database of its own, and no other',
    ...databaseWithout.ownPlacement,
  },
  'own path': { holds: 'search_path names that placement alone' },
  'queries alone': { holds: 'nothing else is sent for a tenant' },
  'extended protocol': { holds: 'one message, one statement' },
  'local context': { holds: 'role and seal end with the transaction' },
  connection: { holds: 'a session in doubt is never used again' },
  seal: { holds: 'kernel.tenant() believes no context without its mac', ...databaseWithout.seal },
  'seal of one backend': {
    holds: "a mac is over the backend's pid too",
    ...databaseWithout.sealOfOneBackend,
  },
  'bound seal': { holds: 'a seal is a parameter, and in no text of a statement' },
  'hidden activity': {
    holds: 'sessions do not tell what they run',
    ...databaseWithout.hiddenActivity,
  },
  'context needed': { holds: 'without a context, an error', ...databaseWithout.contextNeeded },
  'row security': { holds: 'forced policies on every table', ...databaseWithout.rowSecurity },
  'tenant keys': { holds: 'keys begin with tenant_id', ...databaseWithout.tenantKeys },
  'key table': { holds: 'the keys of seals are for their owner', ...databaseWithout.keyTable },
  'secret table': { holds: 'so is what they are derived from', ...accountWithout.secretTable },
  'no settings': { holds: 'handlers change no settings', ...databaseWithout.noSettings },
  'no query texts': { holds: 'no function runs a text', ...databaseWithout.noQueryTexts },
  'no session control': { holds: 'nobody ends sessions', ...databaseWithout.noSessionControl },
  'no log messages': { holds: 'nobody writes messages', ...databaseWithout.noLogMessages },
  'rights by column': { holds: 'no right on a whole table', ...databaseWithout.rightsByColumn },
  'no statistics': { holds: 'the planner keeps no values', ...databaseWithout.noStatistics },
  'bounded rows': { holds: 'the table takes no row of megabytes', ...accountWithout.boundedRows },
  'bare login': { holds: 'the login may do nothing by itself', ...databaseWithout.bareLogin },
  'no other role': { holds: 'it may become no mightier one', ...databaseWithout.noOtherRole },
  'modest login': { holds: 'the login is no superuser', ...databaseWithout.modestLogin },
  'modest roles': { holds: 'no bypassrls, no files', ...databaseWithout.modestRoles },
  'owns nothing': { holds: 'tables belong to another role', ...databaseWithout.ownsNothing },
  'creates nothing': { holds: 'no function, table or schema', ...databaseWithout.createsNothing },
  'no blocks': { holds: 'DO is refused for want of a language', ...databaseWithout.noBlocks },
  'no temporary tables': { holds: 'TEMP is revoked', ...databaseWithout.noTemporaryTables },
  'security invoker': { holds: 'views look as who asks', ...databaseWithout.securityInvoker },
  audience: { holds: 'a trail keeps what tells of others', ...accountWithout.audience },
} as const satisfies Record<string, Layer>;

export function layerOf(name: LayerName): Layer {
  return layers[name];
}
