/** A tenant's typed settings. */
import * as v from 'valibot';
import { json, noContent } from '../http/reply.ts';
import { route } from '../http/route.ts';
import { Refusal } from '../kernel/errors.ts';
import { isSettingKey, settingMismatch } from '../kernel/settings.ts';

const newValue = v.object({ value: v.optional(v.unknown()) });

const adminOfKey = { role: 'admin', params: { key: isSettingKey } } as const;

export const configRoutes = [
  route('GET', '/api/config', {}, async ({ tenant }) => json(200, tenant.settings)),

  route(
    'PUT',
    '/api/config/{key}',
    { ...adminOfKey, body: newValue },
    async ({ account }, { params: { key }, body: { value } }) => {
      refuseMismatch(key, value);
      const text = JSON.stringify(value);
      await account.change('config_changed', async (sql) => {
        await sql`
          insert into settings (key, value) values (${key}, ${text}::text::jsonb)
          on conflict on constraint settings_pkey do update set value = excluded.value, updated_at = now()`;
        return { result: null, details: { key, value: text } };
      });
      return json(200, { key, value });
    },
  ),

  route('DELETE', '/api/config/{key}', adminOfKey, async ({ account }, { params: { key } }) => {
    await account.change('config_changed', async (sql) => {
      await sql`delete from settings where key = ${key}`;
      return { result: null, details: { key, value: null } };
    });
    return noContent();
  }),
];

function refuseMismatch(key: string, value: unknown): void {
  const message = settingMismatch(key, value);
  if (message === null) return;
  throw new Refusal('invalid_input', {
    detail: 'The input does not fit; see "errors"',
    errors: [{ path: 'value', message }],
  });
}
