/** The place of a tenant's rows, and how its statements get the tenant's context. */
import type { TenantId } from '../kernel/tenant.ts';
import type { SessionUrl } from './session_url.ts';

/** A database of a server. */
export type DatabasePlace = { server: string; database: string };

type CommonPlacement = DatabasePlace & {
  /** The URL of its sessions: the login in the database. */
  url: SessionUrl;
  /** The login of the sessions. */
  login: string;
  schema: string;
  /** The role that statements run as. */
  role: string;
  /** The key of the database's seals. */
  sealKey: Buffer;
  /** Part of each context. Postgres refuses one of an older generation than the tenant's fence. */
  generation: number;
};

/** A placement of one tenant alone: the context is a start parameter of its sessions. */
export type DedicatedPlacement = CommonPlacement & { context: 'session'; tenant: TenantId };

/** A placement whose sessions serve many tenants: a sealed context is sent with each statement. */
type SealedPlacement = CommonPlacement & { context: 'statement' };

/** The place of one tenant's rows (server, database, schema, role), and how the context arrives there. */
export type Placement = SealedPlacement | DedicatedPlacement;

/** Whether the placement, with its database and login, belongs to one tenant alone. */
export function isDedicated(placement: Placement): placement is DedicatedPlacement {
  return placement.context === 'session';
}
