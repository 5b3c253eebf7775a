/** A tenant's users and their API keys: for its admins. */
import * as v from 'valibot';
import { json, noContent } from '../http/reply.ts';
import { route } from '../http/route.ts';
import { Refusal } from '../kernel/errors.ts';
import { isUuid, type Role } from '../kernel/tenant.ts';
import { email, limit } from './fields.ts';
import { cursor, page } from './page.ts';

type UserRow = { id: string; email: string; role: Role; created_at: string };

/** A new key: the text that is shown once, and the digest that stays. */
export type MintKey = (id: string) => { apiKey: string; digest: Uint8Array };

const newUser = v.object({
  email,
  role: v.picklist(['admin', 'member'], 'Expected "admin" or "member"'),
});

const listQuery = v.object({ limit: v.optional(limit), cursor: v.optional(cursor(isUuid)) });

/** Before every UUID there is. */
const first = '00000000-0000-0000-0000-000000000000';

const admin = { role: 'admin' } as const;
const adminOfId = { ...admin, params: { id: isUuid } } as const;

export function userRoutes(mintKey: MintKey) {
  return [
    route('GET', '/api/users', { ...admin, query: listQuery }, async (context, { query }) => {
      const { account, tenant } = context;
      const most = query.limit ?? tenant.settings.default_page_size;
      const users = await account<UserRow>`
        select id, email, role, created_at
        from users
        where id > ${query.cursor?.[0] ?? first}
        order by id
        limit ${most + 1}`;
      return page(users, most, (user) => [user.id]);
    }),

    route('POST', '/api/users', { ...admin, body: newUser }, async ({ account, newId }, input) => {
      const { email: address, role } = input.body;
      const user = await account.change('user_created', async (sql) => {
        const [row] = await sql<UserRow>`
          insert into users (id, email, role) values (${newId()}, ${address}, ${role})
          returning id, email, role, created_at`;
        return { result: row ?? notFound(), details: { user_id: row?.id ?? null, role } };
      });
      return json(201, user);
    }),

    route('POST', '/api/users/{id}/keys', adminOfId, async ({ account, newId }, { params }) => {
      const id = newId();
      const { apiKey, digest } = mintKey(id);
      const key = await account.change('key_created', async (sql) => {
        const [row] = await sql<{ id: string; user_id: string; created_at: string }>`
          insert into api_keys (id, user_id, secret_sha256)
          select ${id}, id, ${digest} from users where id = ${params.id}
          returning id, user_id, created_at`;
        return { result: row ?? notFound(), details: { key_id: id, user_id: params.id } };
      });
      return json(201, { ...key, api_key: apiKey });
    }),

    route('DELETE', '/api/keys/{id}', adminOfId, async ({ account }, { params }) => {
      await account.change('key_revoked', async (sql) => {
        const [row] = await sql<{ user_id: string }>`
          update api_keys set revoked_at = now()
          where id = ${params.id} and revoked_at is null
          returning user_id`;
        const { user_id } = row ?? notFound();
        return { result: null, details: { key_id: params.id, user_id } };
      });
      return noContent();
    }),
  ];
}

function notFound(): never {
  throw new Refusal('not_found', { detail: 'Not found' });
}
