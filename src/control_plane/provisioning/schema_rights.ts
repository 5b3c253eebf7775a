/**
 * Grants that are not in the files of `sql/`: the owner runs them whenever a schema is prepared. The doctor
 * builds its reference catalog from the same texts.
 */
import type { Roles } from '../../postgres/installation.ts';

/** For a role that uses tenants' tables or rows: the right to call `kernel.tenant()`. */
export function kernelRights(role: string, schema = 'kernel'): string {
  return `grant usage on schema "${schema}" to "${role}";
    grant execute on function "${schema}".tenant() to "${role}";`;
}

/** For the roles that use `control`; its migrations grant the rights on the tables. */
export function controlRights({ control, account }: Roles, schema = 'control'): string {
  return `grant usage on schema "${schema}" to "${control}", "${account}";`;
}

/** For the role of a placement; the migrations' hardening grants the rights on the tables. */
export function placementRights({ schema, role }: { schema: string; role: string }): string {
  return `grant usage on schema "${schema}" to "${role}";`;
}
