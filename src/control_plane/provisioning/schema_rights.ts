/**
 * Rights that are given beside the files of `sql/`, by the owner, whenever a schema is made ready. Each is
 * said once: the doctor makes its reference of the catalog from the same words.
 */
import type { Roles } from '../../postgres/installation.ts';

/** To a role that works on tenants' tables or rows: may enter the schema and ask for the tenant. */
export function kernelRights(role: string, schema = 'kernel'): string {
  return `grant usage on schema "${schema}" to "${role}";
    grant execute on function "${schema}".tenant() to "${role}";`;
}

export function controlRights({ control, account }: Roles, schema = 'control'): string {
  return `grant usage on schema "${schema}" to "${control}", "${account}";`;
}

export function placeRights({ schema, role }: { schema: string; role: string }): string {
  return `grant usage on schema "${schema}" to "${role}";`;
}
