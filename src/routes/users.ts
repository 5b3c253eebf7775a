/** A tenant's users and their API keys; only for its admins. */
import * as v from 'valibot';
import { json, noContent } from '../http/reply.ts';
import { route } from '../http/route.ts';
import { notFound } from '../kernel/errors.ts';
import type { Account } from '../kernel/ports.ts';
import { isUuid, type Role } from '../kernel/tenant.ts';
import { email, limit } from './fields.ts';
import { cursor, page } from './page.ts';

type UserRow = { id: string; email: string; role: Role; created_at: string };

type KeyRow = { id: string; user_id: string; created_at: string };

/** Returns a new key: the text, which is shown once, and the digest, which is stored. */
export type MintKey = (id: string, secret: Uint8Array) => { apiKey: string; digest: Uint8Array };

const newUser = v.object({
  email,
  role: v.picklist(['admin', 'member'], 'Expected "admin" or "member"'),
});

const listQuery = v.object({ limit: v.optional(limit), cursor: v.optional(cursor(isUuid)) });

/** Comes before every UUID. */
const first = '00000000-0000-0000-0000-000000000000';

const admin = { role: 'admin' } as const;
const adminOfId = { ...admin, params: { id: isUuid } } as const;

export function userRoutes(mintKey: MintKey) {
  return [
    route('GET', '/api/users', { ...admin, query: listQuery }, async (context, input) => {
      const { account, tenant } = context;
      const { query, target } = input;
      const pageSize = query.limit ?? tenant.settings.default_page_size;
      const users = await account<UserRow>`
        select id, email, role, created_at
        from users
        where id > ${query.cursor?.[0] ?? first}
        order by id
        limit ${pageSize + 1}`;
      return page(users, { limit: pageSize, target }, (user) => [user.id]);
    }),

    route('POST', '/api/users', { ...admin, body: newUser }, async (context, { body }) => {
      const { account, newId, retried } = context;
      const id = newId();
      const made = retried ? await findUser(account, id) : null;
      return json(201, made ?? (await addUser(account, id, body)));
    }),

    route('POST', '/api/users/{id}/keys', adminOfId, async (context, { params }) => {
      const { account, newId, newSecret, retried } = context;
      const id = newId();
      const { apiKey, digest } = mintKey(id, newSecret());
      const made = retried ? await findKey(account, id) : null;
      const key = made ?? (await addKey(account, { id, userId: params.id, digest }));
      return json(201, { ...key, api_key: apiKey });
    }),

    route('DELETE', '/api/keys/{id}', adminOfId, async ({ account }, { params }) => {
      await account.change('key_revoked', async (sql) => {
        const [row] = await sql<{ id: string; user_id: string }>`
          update api_keys set revoked_at = now()
          where id = ${params.id} and revoked_at is null
          returning id, user_id`;
        const { id, user_id } = row ?? notFound();
        return { result: null, details: { key_id: id, user_id } };
      });
      return noContent();
    }),
  ];
}

async function findUser(account: Account, id: string): Promise<UserRow | null> {
  const [user] = await account<UserRow>`
    select id, email, role, created_at from users where id = ${id}`;
  return user ?? null;
}

function addUser(
  account: Account,
  id: string,
  { email: address, role }: v.InferOutput<typeof newUser>,
): Promise<UserRow> {
  return account.change('user_created', async (sql) => {
    const [row] = await sql<UserRow>`
      insert into users (id, email, role) values (${id}, ${address}, ${role})
      returning id, email, role, created_at`;
    return { result: row ?? notFound(), details: { user_id: id, role } };
  });
}

async function findKey(account: Account, id: string): Promise<KeyRow | null> {
  const [key] = await account<KeyRow>`
    select id, user_id, created_at from api_keys where id = ${id}`;
  return key ?? null;
}

function addKey(
  account: Account,
  { id, userId, digest }: { id: string; userId: string; digest: Uint8Array },
): Promise<KeyRow> {
  return account.change('key_created', async (sql) => {
    const [row] = await sql<KeyRow>`
      insert into api_keys (id, user_id, secret_sha256)
      select ${id}, id, ${digest} from users where id = ${userId}
      returning id, user_id, created_at`;
    const key = row ?? notFound();
    return { result: key, details: { key_id: id, user_id: key.user_id } };
  });
}
