/** Where one tenant's rows are, and how its statements get the tenant's context. */
import type { TenantId } from '../kernel/tenant.ts';
import type { Target } from './session_url.ts';

type Place = {
  /** Leads sessions of the login into the database. */
  target: Target;
  database: string;
  /** The login of the sessions. */
  login: string;
  schema: string;
  /** The role that statements run as. */
  role: string;
  /** The key of the database's seals. */
  sealKey: Buffer;
};

/** The placement of one tenant alone: its sessions begin with the context as a start parameter. */
export type DedicatedPlacement = Place & { context: 'session'; tenant: TenantId };

/** Its sessions serve many tenants: the context is sealed, and sent with each statement. */
type SealedPlacement = Place & { context: 'statement' };

export type Placement = SealedPlacement | DedicatedPlacement;

export function isDedicated(placement: Placement): placement is DedicatedPlacement {
  return placement.context === 'session';
}
