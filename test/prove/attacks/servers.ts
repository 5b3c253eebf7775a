/** Servers: the attacker has a password of its own, or one that the victim once had, and connects by itself. */
import { codeOf } from '../../../src/postgres/errors.ts';
import { lookInto } from '../../support/sql.ts';
import type { Attack, Attempt, Seen } from '../attack.ts';
import { dedicated } from '../layers_needed.ts';
import { union } from './sql.ts';

const context = 'kennel.tenant';

/** In an order in which the layers of one can be taken off after those of the one before. */
export const servers: readonly Attack[] = [
  {
    name: "a session in the victim's database that began without a context",
    layers: dedicated('context needed'),
    run: (attempt) => {
      const there = new URL(attempt.victim.placement.url);
      there.searchParams.delete(context);
      return readAll(attempt, there);
    },
  },
  {
    name: 'the login and the context of the victim from before its move, on its new server',
    layers: { servers: ['password of one server', 'seal'] },
    run: (attempt) => {
      const old = new URL(attempt.victim.firstPlacement.url);
      old.host = new URL(attempt.victim.placement.url).host;
      return readAll(attempt, old);
    },
  },
  {
    name: "the attacker's own login, in the victim's database",
    layers: {
      database: ['closed database', 'own tables', 'row security'],
      servers: ['login of one server', 'closed database', 'own tables', 'row security'],
    },
    run: (attempt) => {
      const { attacker, victim } = attempt;
      const own = new URL(attacker.placement.url);
      const there = new URL(victim.placement.url);
      [own.host, own.pathname] = [there.host, there.pathname];
      return readAll(attempt, own);
    },
  },
  {
    name: "the context of the attacker, in a session in the victim's database",
    layers: dedicated('row security'),
    run: (attempt) => {
      const there = new URL(attempt.victim.placement.url);
      const own = new URL(attempt.attacker.placement.url).searchParams.get(context) ?? '';
      there.searchParams.set(context, own);
      return readAll(attempt, there);
    },
  },
  {
    name: 'the URL of a server, with its password',
    layers: { servers: ['server table'] },
    run: (attempt) => attempt.search(union("select '', url from control.servers"), 'users'),
  },
];

/** Reads in a session of postgres.js, which takes no part of Kennel. */
export async function readAll(
  attempt: Attempt,
  url: URL,
  query = 'select name from pets',
): Promise<Seen> {
  const text = await lookInto(url.href, (sql) => sql.unsafe(query)).then(
    (rows) => JSON.stringify({ rows }),
    (error: unknown) => `SQLSTATE ${codeOf(error)}`,
  );
  return attempt.keep({ status: 0, headers: '', text });
}
