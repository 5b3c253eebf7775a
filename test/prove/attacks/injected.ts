/**
 * SQL injected through the vulnerable handlers while the context stays the attacker's own: row
 * security, keys and the rights of the role must stop it.
 */
import { randomUUID } from 'node:crypto';
import type { Attack, Attempt } from '../attack.ts';
import { everywhere, inPlace, named, namedWithContext } from '../layers_needed.ts';
import { quoted, runs, sets, union } from './sql.ts';

const pets = ({ lab }: Attempt) => lab.table('pets');

export const injected: readonly Attack[] = [
  {
    name: 'OR TRUE in the condition',
    layers: inPlace('row security'),
    run: (attempt) => attempt.search("nobody' or true --"),
  },
  {
    name: 'a UNION over every row',
    layers: named('row security'),
    run: (attempt) => attempt.search(union(`select '', name from ${pets(attempt)}`)),
  },
  {
    name: 'query_to_xml over every row',
    layers: named('no query texts', 'row security'),
    run: (attempt) => attempt.search(union(runs(`select name from ${pets(attempt)}`))),
  },
  {
    name: "a search_path into the victim's schema",
    layers: named('no settings', 'no query texts', 'row security'),
    run: (attempt) =>
      attempt.search(
        union(
          sets('search_path', quoted(attempt.victim.placement.schema)),
          runs('select name from pets'),
        ),
      ),
  },
  {
    name: 'an update of every row',
    layers: named('row security'),
    run: (attempt) => attempt.report(`update ${pets(attempt)} set name = 'Stolen'`),
  },
  {
    name: 'an insert of a row for the victim',
    layers: named('row security'),
    run: (attempt) =>
      attempt.report(
        `insert into ${pets(attempt)} (tenant_id, id, name, species)
         values ('${attempt.victim.id}', '${randomUUID()}', 'Cuckoo', 'bird')`,
      ),
  },
  {
    name: 'row_security = off',
    layers: named('no settings', 'no query texts', 'unprivileged roles'),
    run: (attempt) =>
      attempt.search(
        union(sets('row_security', "'off'"), runs(`select name from ${pets(attempt)}`)),
      ),
  },
  {
    name: "a view with its owner's rights",
    layers: namedWithContext('security invoker'),
    run: (attempt) =>
      attempt.search(union(`select '', name from ${attempt.lab.table('pet_names')}`)),
  },
  {
    name: 'an error that depends on a row of the victim',
    layers: named('row security'),
    run: async (attempt) => {
      const ask = (id: string) =>
        attempt.search(
          union(`select '', (1 / (count(*) - 1))::text from ${pets(attempt)} where id = '${id}'`),
        );
      attempt.mustBeAlike(await ask(attempt.victim.petId), await ask(randomUUID()));
    },
  },
  {
    name: 'an error that quotes a row of the victim',
    layers: named('row security'),
    run: (attempt) =>
      attempt.search(
        union(
          `select '', name::integer::text from ${pets(attempt)}
           where id = '${attempt.victim.petId}'`,
        ),
      ),
  },
  {
    name: 'a function that is cheaper than the policy',
    layers: named('queries only', 'creates nothing', 'row security'),
    run: async (attempt) => {
      const { petId, placement } = attempt.victim;
      const { schema } = placement;
      await attempt.report(
        `create function ${schema}.tell(id uuid, name text) returns boolean
         language plpgsql cost 0.0000001
         as $$ begin
           if id = '${petId}' then raise exception '%', name; end if;
           return true;
         end $$`,
      );
      await attempt.report(`select name from ${pets(attempt)} where ${schema}.tell(id, name)`);
    },
  },
  {
    name: "the planner's statistics of the column",
    layers: named('row security', 'no statistics'),
    run: async (attempt) => {
      const { placement } = attempt.victim;
      await attempt.lab.superuser.run(placement, 'analyze pets');
      await attempt.search(
        union(
          `select '', most_common_vals::text from pg_stats
           where schemaname = '${placement.schema}' and attname = 'name'`,
        ),
      );
    },
  },
  {
    name: 'row security switched off as the owner',
    layers: named('queries only', 'owns nothing'),
    run: async (attempt) => {
      await attempt.report(`alter table ${pets(attempt)} disable row level security`);
      await attempt.report(`select name from ${pets(attempt)}`);
    },
  },
  {
    name: "the table's file",
    // The file is on the disk of the victim's server.
    layers: {
      ...everywhere('unprivileged roles'),
      servers: ['own placement', 'unprivileged roles'],
    },
    run: async (attempt) => {
      const file = await attempt.lab.fileOf('pets');
      await attempt.search(union(`select '', encode(pg_read_binary_file('${file}'), 'escape')`));
    },
  },
  {
    name: 'a unique key that reveals another row',
    layers: namedWithContext('tenant keys'),
    run: async (attempt) => {
      const add = (id: string) =>
        attempt.report(
          `insert into ${pets(attempt)} (id, name, species) values ('${id}', 'Rex', 'dog')`,
        );
      attempt.mustBeAlike(await add(attempt.victim.petId), await add(randomUUID()));
    },
  },
  {
    name: 'ON CONFLICT that reveals another row',
    layers: namedWithContext('tenant keys'),
    run: async (attempt) => {
      const add = (id: string) =>
        attempt.report(
          `insert into ${pets(attempt)} (id, name, species) values ('${id}', 'Rex', 'dog')
           on conflict do nothing returning id`,
        );
      attempt.mustBeAlike(await add(attempt.victim.petId), await add(randomUUID()));
    },
  },
  {
    name: 'a foreign key that reveals another row',
    layers: namedWithContext('tenant keys'),
    run: async (attempt) => {
      const add = (id: string) =>
        attempt.report(
          `insert into ${attempt.lab.table('visits')} (id, pet_id, visited_on, reason)
           values ('${randomUUID()}', '${id}', '2026-01-01', 'Cough')`,
        );
      attempt.mustBeAlike(await add(attempt.victim.petId), await add(randomUUID()));
    },
  },
  {
    name: 'an email address that reveals another user',
    layers: everywhere('tenant keys'),
    run: async (attempt) => {
      const add = (email: string) => attempt.call('POST /api/users', { email, role: 'member' });
      const [known, unknown] = [await add('known@example.com'), await add('fresh@example.com')];
      attempt.mustBeAlike({ ...known, text: '' }, { ...unknown, text: '' });
    },
  },
];
