/** One of our databases as the doctor looks at it: its places, and who has business there. */
import { type Installation, schemas } from '../../postgres/installation.ts';
import type { DedicatedPlacement, Placement } from '../../postgres/placement.ts';

export type Examined = {
  database: string;
  owner: string;
  /** Works on tenants' tables: the role of a connection, or the login of a tenant's own database. */
  app: string;
  /** The other serving roles of the control schema; null in a tenant's own database. */
  control: { control: string; account: string } | null;
  /** The login that sets contexts; null where sessions begin with theirs. */
  setter: string | null;
  /** Roles of ours that serve here. */
  serving: readonly string[];
  /** All roles of ours that may do nothing unseen: those that serve here, and those that do elsewhere. */
  ours: readonly string[];
  /** The place of the one tenant of the database; null in the main one. */
  dedicated: DedicatedPlacement | null;
  /** Schemas with tenants' tables. */
  places: readonly string[];
};

/** The main database. `own` are the places of tenants that have a schema or a database. */
export function examinedMain({ database, roles }: Installation, own: Placement[]): Examined {
  const { owner, app, account, serve, control, migrate } = roles;
  const serving = [serve, control, app, account];
  const inMain = own.filter((place) => place.database === database);
  const logins = own.filter((place) => place.database !== database).map(({ role }) => role);
  return {
    database,
    owner,
    app,
    control: { control, account },
    setter: serve,
    serving,
    ours: [...serving, migrate, ...logins],
    dedicated: null,
    places: [schemas.shared, ...inMain.map(({ schema }) => schema)],
  };
}

/** A tenant's own database. */
export function examinedOwn({ roles }: Installation, place: DedicatedPlacement): Examined {
  const { database, schema, role } = place;
  const { owner, app, account, serve, control, migrate } = roles;
  return {
    database,
    owner,
    app: role,
    control: null,
    setter: null,
    serving: [role],
    ours: [role, serve, control, app, account, migrate],
    dedicated: place,
    places: [schema],
  };
}

/** Every schema of ours in the database. */
export function schemasOf({ places, control }: Examined): string[] {
  return [schemas.kernel, ...(control ? [schemas.control] : []), ...places];
}
