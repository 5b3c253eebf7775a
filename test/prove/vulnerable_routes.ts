/**
 * Handlers as they should never be written, for the lab alone: the client's input becomes the text
 * of a statement, or selects whose row is meant; and the client reads Postgres's own error message.
 * The rest of the server is the real one.
 */
import * as v from 'valibot';
import { json } from '../../src/http/reply.ts';
import type { HttpRequest } from '../../src/http/request.ts';
import { route } from '../../src/http/route.ts';
import { Router } from '../../src/http/router.ts';
import { IsolationViolation, Refusal } from '../../src/kernel/errors.ts';
import type { Account, Context, Db, Routes, Sql } from '../../src/kernel/ports.ts';
import { limits } from '../../src/limits.ts';
import { codeOf } from '../../src/postgres/errors.ts';

const store = v.optional(v.picklist(['pets', 'users'], 'Expected a store'), 'pets');

const search = v.object({ text: v.string(), of: store });
const report = v.object({ statements: v.array(v.string()), of: store });
const order = v.object({ tenant_id: v.string(), name: v.string() });
const owner = v.object({ tenant_id: v.string() });

const vulnerable = new Router<Context>(
  [
    /** The text lands in the middle of a statement. */
    route('GET', '/api/lab/search', { query: search }, (context, { query }) => {
      const [table, column] = query.of === 'pets' ? ['pets', 'name'] : ['users', 'email'];
      const text = `select id::text, ${column} from ${table} where ${column} = '${query.text}'`;
      return tell(() => statement(storeOf(context, query.of), text));
    }),

    /** The text is the statement; several share a transaction. */
    route('POST', '/api/lab/report', { body: report }, (context, { body }) => {
      const [first = '', ...others] = body.statements;
      const db = storeOf(context, body.of);
      return tell(() =>
        others.length === 0 ? statement(db, first) : inOne(context.db, body.statements),
      );
    }),

    /** The client selects whose pets it wants. */
    route('GET', '/api/lab/export', { query: owner }, ({ db }, { query }) =>
      tell(() => db`select id, name from pets where tenant_id = ${query.tenant_id}::uuid`),
    ),

    /** The client states whose pet it is. */
    route('POST', '/api/lab/import', { body: order }, ({ db, newId }, { body }) =>
      tell(
        () => db`
          insert into pets (tenant_id, id, name, species)
          values (${body.tenant_id}::uuid, ${newId()}, ${body.name}, 'dog')
          returning id`,
      ),
    ),
  ],
  limits.http,
);

/** The real routes, and these beside them. */
export function withVulnerable(routes: Routes<HttpRequest>): Routes<HttpRequest> {
  return (request, path) =>
    path.startsWith('/api/lab/') ? vulnerable.match(request, path) : routes(request, path);
}

function storeOf({ db, account }: Context, of: 'pets' | 'users'): Db | Account {
  return of === 'pets' ? db : account;
}

/** The vulnerability: the driver takes any array of strings for a template of Kennel. */
function statement(db: Db | Account | Sql, text: string): Promise<object[]> {
  return db(Object.assign([text], { raw: [text] }));
}

function inOne(db: Db, statements: string[]): Promise<object[]> {
  return db.transaction(async (sql) => {
    let rows: object[] = [];
    for (const text of statements) rows = await statement(sql, text);
    return rows;
  });
}

async function tell(work: () => Promise<object[]>) {
  try {
    return json(200, { rows: await work() });
  } catch (error) {
    const code = codeOf(error);
    if (error instanceof IsolationViolation && code === '') {
      throw new Refusal('invalid_input', { detail: error.message });
    }
    if (error instanceof Refusal || code === '') throw error;
    const words = error instanceof Error ? error.message : String(error);
    throw new Refusal('invalid_input', { detail: `${code}: ${words}` });
  }
}
