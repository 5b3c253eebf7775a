/**
 * Resources that all tenants share besides rows: locks, sessions, the logs, and the planner's
 * statistics. An attack that is not refused here makes others wait, or reveals facts about them,
 * without touching a row.
 */
import { randomUUID } from 'node:crypto';
import { tenantId } from '../../../src/kernel/tenant.ts';
import { estimate } from '../../support/serving_tables.ts';
import { until } from '../../support/until.ts';
import type { Attack, Attempt, Seen } from '../attack.ts';
import { everywhere, named, oneDatabase } from '../layers_needed.ts';
import { runs, sets, union } from './sql.ts';

export const resources: readonly Attack[] = [
  {
    name: 'LOCK TABLE on the shared table of pets',
    layers: named('queries only', 'rights by column'),
    // Alone it is refused in a tenant's own database, where no context begins a transaction.
    run: (attempt) =>
      mustBlockNoSession(attempt, ['select 1', `lock table ${attempt.lab.table('pets')}`]),
  },
  {
    name: 'LOCK TABLE on the shared table of users',
    layers: everywhere('queries only', 'rights by column'),
    run: async (attempt) =>
      mustBeRefused(attempt, await attempt.report('lock table users in exclusive mode', 'users')),
  },
  ...injectedKinds(),
  {
    name: 'CREATE RULE, whose lock makes all others wait',
    layers: named('queries only'),
    run: (attempt) => {
      const table = attempt.lab.table('pets');
      return mustBlockNoSession(attempt, [
        `create rule x as on insert to ${table} do also nothing`,
      ]);
    },
  },
  {
    name: 'limits lifted by a read',
    layers: everywhere('no settings'),
    run: async (attempt) =>
      mustBeRefused(attempt, await attempt.search(union(sets('lock_timeout', "'0'")), 'users')),
  },
  {
    name: "the server's log filled by a read",
    layers: everywhere('no settings'),
    run: async (attempt) =>
      mustBeRefused(
        attempt,
        await attempt.search(union(sets('debug_print_plan', "'on'")), 'users'),
      ),
  },
  {
    name: 'the write-ahead log filled by a read',
    layers: everywhere('no log messages'),
    run: async (attempt) =>
      mustBeRefused(
        attempt,
        await attempt.search(
          union("select '', pg_logical_emit_message(false, 'x', repeat('a', 9999))::text"),
          'users',
        ),
      ),
  },
  {
    name: 'sessions of the same login ended by a read',
    layers: everywhere('no settings', 'no query texts', 'no session control'),
    run: async (attempt) =>
      mustBeRefused(
        attempt,
        await attempt.search(
          // A number that no session has, or the lab would lose its own.
          union(sets('role', "'none'"), runs('select pg_terminate_backend(2147483647)')),
          'users',
        ),
      ),
  },
  {
    name: "an event that fills the operator's page of the trail",
    layers: everywhere('bounded rows'),
    run: async (attempt) => {
      const { slug } = attempt.attacker;
      const { text } = await attempt.report(
        `insert into audit_events (id, event, actor, tenant, request_id, audience, details)
         values ('${randomUUID()}', 'pets', 'nobody', '${slug}', 'x', 'tenant',
           jsonb_build_object('x', repeat('x', 9000)))`,
        'users',
      );
      attempt.mustBeAlike(said('refused'), said(text.includes('23514') ? 'refused' : text));
    },
  },
  {
    name: "the planner's estimate for the victim's value",
    layers: oneDatabase('no statistics'),
    run: async (attempt) => {
      const { lab, attacker, victim } = attempt;
      // The planner keeps its statistics until the next analyze.
      await lab.superuser.run(
        victim.placement,
        `insert into pets (tenant_id, id, name, species)
         select '${victim.id}', gen_random_uuid(), '${lab.mark}', 'hamster'
         from generate_series(1, 2000);
         analyze pets;
         delete from pets where species = 'hamster'`,
      );
      const context = { tenant: { id: tenantId(attacker.id) }, placement: attacker.placement };
      const { installation } = lab.server.app.services.fleet;
      const expected = async (name: string) => {
        const query = `select id from ${lab.table('pets')} where name = '${name}'`;
        return attempt.keep(said(`${await estimate(installation, context, query)} rows`));
      };
      attempt.mustBeAlike(await expected(lab.mark), await expected('nowhere-to-be-found'));
    },
  },
];

/** One statement of each kind that is not a query, as no handler sends it. */
function injectedKinds(): Attack[] {
  const kinds: Readonly<Record<string, string>> = {
    'LOCK TABLE after a comment': '/**/ lock table pets in access share mode',
    'a query in parentheses': '(select 1)',
    'DROP POLICY': 'drop policy if exists nothing on pets',
    'ALTER ROLE of the current role': "alter role current_user set application_name = 'x'",
    PREPARE: 'prepare trap as select 1',
    'SET LOCAL': "set local statement_timeout = '0'",
    'RESET ALL': 'reset all',
    COPY: 'copy pets to stdout',
    CALL: 'call nothing()',
    DO: 'do $$ begin end $$',
    'EXPLAIN ANALYZE': 'explain analyze select 1',
    LISTEN: 'listen everything',
  };
  return Object.entries(kinds).map(([name, statement]) => ({
    name: `${name}, as a separate statement`,
    layers: everywhere('queries only'),
    run: async (attempt) => {
      const { text } = await attempt.report(statement);
      attempt.mustBeAlike(said('not sent'), said(text.includes(notSent) ? 'not sent' : 'sent'));
    },
  }));
}

/** All others wait behind a lock that waits for a reader. */
async function mustBlockNoSession(attempt: Attempt, statements: string[]): Promise<void> {
  const waiters = await waitersBehind(attempt, statements);
  attempt.mustBeAlike(said('0 wait'), said(`${waiters} wait`));
}

/**
 * How many sessions wait for the victim's pets, while a reader holds them, when the attacker sends
 * statements.
 */
async function waitersBehind(attempt: Attempt, statements: string[]): Promise<number> {
  const { lab, victim } = attempt;
  return lab.superuser.whileReading(victim.placement, 'pets', async (waiters) => {
    let answered = false;
    const answer = attempt.report(statements).finally(() => {
      answered = true;
    });
    let seen = 0;
    await until(async () => {
      seen = await waiters();
      return answered || seen > 0;
    });
    await answer;
    return seen;
  });
}

const notSent = 'Cannot send a statement';

/** Whatever the answer is, Postgres executed the statement. */
export function mustBeRefused(attempt: Attempt, answer: Seen): void {
  const refused = answer.text.includes('42501') || answer.text.includes(notSent);
  attempt.mustBeAlike(said('refused'), said(refused ? 'refused' : answer.text));
}

function said(text: string): Seen {
  return { status: 0, headers: '', text };
}
