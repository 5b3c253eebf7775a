/** Functions that serving roles may call: none that runs with another's rights. */
import type { Sql } from '../../kernel/ports.ts';
import {
  type Family,
  readRevokedFunctions,
  withdrawing,
} from '../provisioning/revoked_functions.ts';
import type { Examined } from './examined.ts';
import { type Check, type Finding, finding, quoted } from './finding.ts';
import type { Asked } from './views.ts';

export async function examineDefiners(
  sql: Sql,
  { database, serving, isAsked }: Asked,
): Promise<Finding[]> {
  const rows = await sql<{ signature: string; schema: string }>`
    select pg_proc.oid::regprocedure::text as signature, nspname as schema
    from pg_proc
      join pg_namespace on pg_namespace.oid = pronamespace
    where prosecdef
      and exists (
        select
        from aclexplode(coalesce(proacl, acldefault('f', proowner)))
          left join pg_roles on pg_roles.oid = grantee
        where privilege_type = 'EXECUTE' and (
          grantee = 0
          or rolname in (select jsonb_array_elements_text(${JSON.stringify(serving)}::text::jsonb))
        )
      )
      and exists (
        select
        from aclexplode(coalesce(nspacl, acldefault('n', nspowner)))
          left join pg_roles on pg_roles.oid = grantee
        where privilege_type = 'USAGE' and (
          grantee = 0
          or rolname in (select jsonb_array_elements_text(${JSON.stringify(serving)}::text::jsonb))
        )
      )
    order by 1`;
  const whom = ['public', ...serving.map(quoted)].join(', ');
  return rows
    .filter(({ schema }) => isAsked(schema))
    .map(({ signature }) =>
      finding('security_definer_reachable', {
        database,
        where: `function ${signature} of database ${database}`,
        what: 'Serving roles may call it, and it runs with the rights of its owner',
        fix: `revoke execute on function ${signature} from ${whom}`,
      }),
    );
}

const spareChecks: Readonly<Record<Family, { check: Check; what: string }>> = {
  'large objects': {
    check: 'large_objects_allowed',
    what: 'An injected statement may leave large objects behind, which belong to no tenant',
  },
  announcements: {
    check: 'announcements_allowed',
    what: 'An injected statement may flood every process with announcements',
  },
  'advisory locks': {
    check: 'advisory_locks_allowed',
    what: 'An injected statement may take locks that outlive its envelope',
  },
  settings: {
    check: 'set_config_allowed',
    what: 'An injected read may lift its own limits, put off its role, or write to the server log',
  },
  'query texts': {
    check: 'query_texts_allowed',
    what: 'An injected read may run further queries from texts, each planned and permitted anew',
  },
  sessions: {
    check: 'session_control_allowed',
    what: 'An injected read may end, hold up or watch the sessions of other tenants',
  },
  'log messages': {
    check: 'log_messages_allowed',
    what: 'An injected read may fill the write-ahead log',
  },
};

export async function examineSpares(sql: Sql, examined: Examined): Promise<Finding[]> {
  const { database, owner, serving, setter } = examined;
  const found = await readRevokedFunctions(sql, serving, { setter });
  return found.map((spare) => {
    const { check, what } = spareChecks[spare.family];
    const fix = withdrawing(spare, { roles: serving, owner, setter });
    return finding(check, { database, where: `database ${database}`, what, fix });
  });
}
