/** A tenant's typed settings. */
import * as v from 'valibot';
import { json, noContent } from '../http/reply.ts';
import { route } from '../http/route.ts';
import { isSettingKey, settingMismatch } from '../kernel/settings.ts';

/** What a value may be depends on its key; a missing one is like null, which no setting may be. */
function newValue({ key }: { key: string }) {
  const fits = v.rawCheck<unknown>(({ dataset, addIssue }) => {
    const message = settingMismatch(key, dataset.value);
    if (message !== null) addIssue({ message });
  });
  return v.object({ value: v.optional(v.pipe(v.unknown(), fits), null) });
}

const adminOfKey = { role: 'admin', params: { key: isSettingKey } } as const;

export const configRoutes = [
  route('GET', '/api/config', {}, async ({ tenant }) => json(200, tenant.settings)),

  route(
    'PUT',
    '/api/config/{key}',
    { ...adminOfKey, body: newValue },
    async ({ account }, { params: { key }, body: { value } }) => {
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
      // No setting may be null: a row that is, counts as not set. Only the owner deletes.
      await sql`update settings set value = 'null', updated_at = now() where key = ${key}`;
      return { result: null, details: { key, value: null } };
    });
    return noContent();
  }),
];
