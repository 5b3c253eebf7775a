/**
 * The context: injected SQL that claims to be the victim, with a seal that is forged, swapped, made
 * or stolen, or with none. It names the victim's rows in the schema where they are.
 */

import { statementOf } from '../../../src/control_plane/generated_sql.ts';
import { openTenantDb } from '../../../src/isolation/tenant_db.ts';
import { tenantId } from '../../../src/kernel/tenant.ts';
import { sealKeyOf } from '../../../src/postgres/installation.ts';
import { neverFenced, pads } from '../../../src/postgres/seal.ts';
import type { Attack, Attempt } from '../attack.ts';
import { dedicated, everywhere, named, oneDatabase } from '../layers_needed.ts';
import { quoted, runs, sets, union } from './sql.ts';

const pets = ({ lab }: Attempt) => lab.table('pets');
const names = (attempt: Attempt) => `select '', name from ${pets(attempt)}`;
const emails = "select '', email from users";

/** The victim's id with the generation and the mac of the attacker: a context is `<tenant>.<generation>.<mac>`. */
const swapped = ({ victim }: Attempt) =>
  `'${victim.id}' || substr(current_setting('kennel.tenant'), ${victim.id.length + 1})`;

export const context: readonly Attack[] = [
  {
    name: 'set_config in a UNION, without a seal',
    layers: named('no settings', 'seal'),
    run: (attempt) =>
      attempt.search(union(sets('kennel.tenant', quoted(attempt.victim.id)), names(attempt))),
  },
  {
    name: 'set_config in a CTE, with a forged seal',
    layers: named('no settings', 'seal'),
    run: (attempt) =>
      attempt.search(
        union(
          `(with forged as materialized (
              select set_config('kennel.tenant', '${attempt.victim.id}.0.${'0'.repeat(64)}', true) it
            )
            select '', pet.name
            from forged, lateral (
              select name from ${pets(attempt)} where forged.it <> '' offset 0
            ) as pet)`,
        ),
      ),
  },
  {
    name: 'set_config in a sub-select, with its own seal',
    layers: named('no settings', 'seal'),
    run: (attempt) =>
      attempt.search(
        union(
          `select '', (select set_config('kennel.tenant', ${swapped(attempt)}, true))`,
          names(attempt),
        ),
      ),
  },
  {
    name: 'set_config in query_to_xml',
    layers: named('no query texts', 'no settings', 'seal'),
    run: (attempt) =>
      attempt.search(
        union(
          runs(`select set_config('kennel.tenant', ${swapped(attempt)}, true)`),
          runs(`select name from ${pets(attempt)}`),
        ),
      ),
  },
  {
    name: 'set_config by an earlier statement of the transaction',
    layers: named('no settings', 'seal'),
    run: (attempt) =>
      attempt.report([
        `select set_config('kennel.tenant', ${swapped(attempt)}, true)`,
        `select name from ${pets(attempt)}`,
      ]),
  },
  {
    name: 'set_config in a DO block that raises the rows as an error',
    layers: named('queries only', 'no DO blocks', 'no settings', 'seal'),
    run: (attempt) =>
      attempt.report(
        `do $$ begin
           perform set_config('kennel.tenant', '${attempt.victim.id}.0.', true);
           raise exception '%', (select string_agg(name, ' ') from ${pets(attempt)});
         end $$`,
      ),
  },
  {
    name: 'set_config after a semicolon',
    layers: named('extended protocol', 'no settings', 'seal'),
    run: (attempt) =>
      attempt.search(
        `nobody'; select set_config('kennel.tenant', '${attempt.victim.id}.0.', true);
         select name from ${pets(attempt)} --`,
      ),
  },
  {
    name: "set_config in a statement on the account's tables",
    layers: everywhere('no settings', 'seal'),
    run: (attempt) =>
      attempt.search(union(sets('kennel.tenant', quoted(attempt.victim.id)), emails), 'users'),
  },
  {
    name: 'a seal made with the seal keys in the database',
    layers: oneDatabase('no settings', 'key table'),
    run: (attempt) =>
      attempt.search(
        union(
          sets('kennel.tenant', sealFrom('inner_pad, outer_pad from kernel.seal_keys', attempt)),
          names(attempt),
        ),
      ),
  },
  {
    name: "a seal made with the installation's secret",
    layers: everywhere('no settings', 'secret table'),
    run: async (attempt) => {
      const read = "select '', encode(value, 'hex') from control.secrets";
      const { text } = await attempt.search(union(read), 'users');
      const [secret = ''] = /[0-9a-f]{64}/.exec(text) ?? [];
      const key = sealKeyOf(Buffer.from(secret, 'hex'), attempt.lab.accountPlacement.database);
      const { inner, outer } = pads(key);
      const keys = `${bytes(inner)} as inner_pad, ${bytes(outer)} as outer_pad`;
      await attempt.search(union(sets('kennel.tenant', sealFrom(keys, attempt)), emails), 'users');
    },
  },
  {
    name: "a seal read from another session's activity",
    layers: everywhere(
      'no settings',
      'no query texts',
      'bound seal',
      'hidden activity',
      'seal of one backend',
    ),
    run: async (attempt) => {
      await whileVictimWorks(attempt, async () => {
        const { seal } = await readVictimSeal(attempt);
        await attempt.search(union(sets('kennel.tenant', quoted(seal)), emails), 'users');
      });
    },
  },
  {
    name: "a seal read from another session's activity, on the backend that it is bound to",
    layers: everywhere('no settings', 'no query texts', 'bound seal', 'hidden activity'),
    run: async (attempt) => {
      let read = { pid: '0', seal: '' };
      await whileVictimWorks(attempt, async () => {
        read = await readVictimSeal(attempt);
      });
      const there = `case when pg_backend_pid() = ${read.pid} then ${quoted(read.seal)}
        else current_setting('kennel.tenant') end`;
      // The pool lends the connection that was idle for longest, so each of them has its turn.
      for (let turn = 0; turn < 4; turn += 1) {
        await attempt.search(union(sets('kennel.tenant', there), emails), 'users');
      }
    },
  },
  {
    name: 'a transaction without a context',
    // In a tenant's own database the context of the session returns.
    layers: {
      ...named('queries only', 'connection', 'context needed'),
      ...dedicated('own placement', 'queries only', 'connection'),
    },
    run: (attempt) => {
      const { role, schema } = attempt.victim.placement;
      // A database's own login works as itself.
      const own = attempt.lab.mode === 'database' ? 'none' : `"${role}"`;
      const path = `set search_path = "${schema}"`;
      return attempt.report(['commit', `set role ${own}`, path, 'select name from pets']);
    },
  },
];

/** HMAC-SHA-256 written in SQL, from the two pads of a key; for the generation that passes each fence. */
function sealFrom(keys: string, { victim }: Attempt): string {
  const message = `convert_to('${victim.id}:${neverFenced}:' || pg_backend_pid(), 'UTF8')`;
  const mac = `encode(sha256(outer_pad || sha256(inner_pad || ${message})), 'hex')`;
  return `(select '${victim.id}.${neverFenced}.' || ${mac} from (select ${keys} limit 1) as key)`;
}

function bytes(value: Buffer): string {
  return `'\\x${value.toString('hex')}'::bytea`;
}

/** While a transaction of the victim is open on another connection, behind its first statement. */
function whileVictimWorks({ lab, victim }: Attempt, work: () => Promise<void>): Promise<void> {
  const { connections, tellsContext } = lab.server;
  return openTenantDb(connections, lab.accountPlacement, tenantId(victim.id), (db) =>
    db.transaction(async (sql) => {
      const [own] = await sql<{ context: string }>`
        select current_setting('kennel.tenant') as context`;
      const comment = tellsContext ? `/* kennel.tenant = ${own?.context} */` : '';
      await sql(statementOf(`select 1 ${comment}`));
      await work();
    }),
  );
}

/** The statements of the login's other sessions, read by a session that has left its role. */
async function readVictimSeal(attempt: Attempt): Promise<{ pid: string; seal: string }> {
  const activity = `select pid, query from pg_stat_activity where query like '%kennel.tenant%'`;
  const { text } = await attempt.search(union(sets('role', "'none'"), runs(activity)), 'users');
  const shown = new RegExp(
    `<pid>(\\d+)</pid>(?:(?!<pid>)[^])*?(${attempt.victim.id}\\.-?\\d+\\.[0-9a-f]{64})`,
  );
  const [, pid = '0', seal = ''] = shown.exec(text) ?? [];
  return { pid, seal };
}
