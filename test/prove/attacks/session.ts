/**
 * The session: roles that an injected statement could take, and traps that one request leaves for
 * the next one on the same connection.
 */
import { type Attack, type Attempt, rowsIn } from '../attack.ts';
import { everywhere, named, namedWithContext, oneDatabase } from '../layers_needed.ts';
import { quoted, runs, sets, union } from './sql.ts';

const pets = ({ lab }: Attempt) => lab.table('pets');
const roles = ({ lab }: Attempt) => lab.server.app.services.fleet.installation.roles;

export const session: readonly Attack[] = [
  {
    name: 'the role reset by set_config in query_to_xml',
    layers: oneDatabase('no settings', 'no query texts', 'bare login', 'row security'),
    run: (attempt) =>
      attempt.search(union(sets('role', "'none'"), runs(`select name from ${pets(attempt)}`))),
  },
  {
    name: 'RESET ROLE after a semicolon',
    layers: oneDatabase('extended protocol', 'bare login', 'row security'),
    run: (attempt) => attempt.search(`nobody'; reset role; select name from ${pets(attempt)} --`),
  },
  {
    name: 'SET ROLE to the owner, after a semicolon',
    layers: namedWithContext('extended protocol', 'no other role'),
    run: (attempt) =>
      attempt.search(
        `nobody'; set local role "${roles(attempt).owner}";
         alter table ${pets(attempt)} disable row level security;
         select name from ${pets(attempt)} --`,
      ),
  },
  {
    name: 'SET ROLE to the owner, as a separate statement',
    layers: named('queries only', 'connection', 'no other role'),
    run: (attempt) =>
      attempt.report([
        `set local role "${roles(attempt).owner}"`,
        `alter table ${pets(attempt)} disable row level security`,
        `select name from ${pets(attempt)}`,
      ]),
  },
  {
    name: "the directory's role, by set_config",
    layers: everywhere('no settings', 'no query texts', 'no other role'),
    run: (attempt) =>
      attempt.search(
        union(
          sets('role', quoted(roles(attempt).control)),
          runs('select email from control.users'),
        ),
        'users',
      ),
  },
  {
    name: 'SET SESSION AUTHORIZATION',
    layers: named('queries only', 'connection', 'unprivileged login'),
    run: (attempt) =>
      attempt.report([
        `set session authorization "${new URL(attempt.lab.server.app.services.fleet.installation.adminUrl).username}"`,
        `select name from ${pets(attempt)}`,
      ]),
  },
  {
    name: "the previous tenant's context, by ROLLBACK",
    layers: oneDatabase('queries only', 'connection', 'local context'),
    run: async (attempt) => {
      await attempt.asVictim('GET /api/pets');
      await attempt.report(['rollback', `select name from ${pets(attempt)}`]);
    },
  },
  {
    name: 'a temporary table in place of the real one',
    layers: oneDatabase('queries only', 'no temporary tables'),
    run: async (attempt) => {
      const baited = `jsonb_populate_record(pets, '{"name": "${attempt.lab.bait}"}')`;
      await attempt.report(`create temporary table pets as select (${baited}).* from pets`);
      await attempt.asVictim('GET /api/pets');
    },
  },
  {
    name: 'a prepared statement replaced, after a semicolon',
    layers: oneDatabase('extended protocol'),
    run: async (attempt) => {
      await attempt.asVictim('GET /api/pets');
      const swap = (await swaps(attempt)).join('; ');
      await attempt.search(`nobody'; ${swap} --`);
      await attempt.asVictim('GET /api/pets');
    },
  },
  {
    name: 'a prepared statement replaced, by separate statements',
    layers: oneDatabase('queries only', 'connection'),
    run: async (attempt) => {
      await attempt.asVictim('GET /api/pets');
      await attempt.report(await swaps(attempt));
      await attempt.asVictim('GET /api/pets');
    },
  },
  {
    name: 'a renamed schema of the attacker',
    layers: { schema: ['own search_path'] },
    run: async (attempt) => {
      const { schema } = attempt.attacker.placement;
      const rename = (from: string, to: string) =>
        attempt.lab.superuser.run(
          attempt.lab.accountPlacement,
          `alter schema "${from}" rename to "${to}"`,
        );
      await rename(schema, 'elsewhere');
      await attempt.call('GET /api/pets').finally(() => rename('elsewhere', schema));
    },
  },
  {
    name: 'a new password of the shared login, by separate statements',
    layers: oneDatabase('queries only', 'connection', 'no settings'),
    run: (attempt) =>
      attempt.report([
        "select set_config('role', 'none', true)",
        `alter role "${roles(attempt).serve}" password 'of the attacker'`,
      ]),
  },
  // The last of all: if it succeeds, no tenant gets a new connection any more.
  {
    name: 'a new password of the shared login, in a DO block',
    layers: everywhere('queries only', 'no DO blocks', 'no settings'),
    run: (attempt) =>
      attempt.report(
        `do $$ begin
           perform set_config('role', 'none', true);
           alter role "${roles(attempt).serve}" password 'of the attacker';
         end $$`,
        'users',
      ),
  },
];

/**
 * Statements that replace the relation that lists the pets by another one with the same columns.
 */
async function swaps(attempt: Attempt): Promise<string[]> {
  const found = await attempt.report(
    `select name, parameter_types::text as types,
       substring(statement from 'select (.*)from pets') as columns
     from pg_prepared_statements
     where statement like '%from pets%order by id%' and statement not like '%species = $%'`,
  );
  return rowsIn(found).flatMap(({ name, types, columns }) => [
    `deallocate "${name}"`,
    `prepare "${name}" (${String(types).slice(1, -1)}) as
     update pets set name = 'Stolen' where $1 is not null and $2 is not null and $3 is not null
     returning ${columns}`,
  ]);
}
