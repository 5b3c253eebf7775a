/** A tenant's typed settings. */
import * as v from 'valibot';
import { preconditionFailed } from '../http/preconditions.ts';
import { json, noContent, resource } from '../http/reply.ts';
import { route } from '../http/route.ts';
import type { Sql } from '../kernel/ports.ts';
import { isSettingKey, settingMismatch, settingsFrom } from '../kernel/settings.ts';

/** The type of the value depends on the key. A missing value counts as null, which no setting accepts. */
function newValue({ key }: { key: string }) {
  const fits = v.rawCheck<unknown>(({ dataset, addIssue }) => {
    const message = settingMismatch(key, dataset.value);
    if (message !== null) addIssue({ message });
  });
  return v.object({ value: v.optional(v.pipe(v.unknown(), fits), null) });
}

const adminOfKey = {
  role: 'admin',
  params: { key: isSettingKey },
  checksPreconditions: true,
} as const;

export const configRoutes = [
  route('GET', '/api/config', {}, async ({ tenant }) => resource(200, tenant.settings)),

  route(
    'PUT',
    '/api/config/{key}',
    { ...adminOfKey, body: newValue },
    async ({ account }, { params: { key }, body: { value }, assertChangeable }) => {
      const text = JSON.stringify(value);
      await account.change('config_changed', async (sql) => {
        const known = assertChangeable && (await valueToChange(sql, key, assertChangeable));
        const written = await sql`
          insert into settings (key, value) values (${key}, ${text}::text::jsonb)
          on conflict on constraint settings_pkey do update
          set value = excluded.value, updated_at = now()
          where ${known}::text is null or settings.value in (${known}::text::jsonb, 'null')
          returning key`;
        if (written.length === 0) throw preconditionFailed();
        return { result: null, details: { key, value: text } };
      });
      return json(200, { key, value });
    },
  ),

  route('DELETE', '/api/config/{key}', adminOfKey, async ({ account }, input) => {
    const { params, assertChangeable } = input;
    const { key } = params;
    await account.change('config_changed', async (sql) => {
      const known = assertChangeable && (await valueToChange(sql, key, assertChangeable));
      // A setting of null counts as not set. The row stays, because no serving role may delete rows.
      await sql`
        update settings set value = 'null', updated_at = now()
        where key = ${key}
          and (${known}::text is null or value in (${known}::text::jsonb, 'null'))`;
      return { result: null, details: { key, value: null } };
    });
    return noContent();
  }),
];

/**
 * Checks the request's preconditions and returns the setting's value as JSON. They are compared with all
 * settings, because clients know the tag of `/api/config`. Stored settings stay locked until commit.
 */
async function valueToChange(
  sql: Sql,
  key: string,
  assertChangeable: (current: object) => void,
): Promise<string> {
  const rows = await sql<{ key: string; value: unknown }>`
    select key, value from settings order by key for update`;
  const settings = settingsFrom(Object.fromEntries(rows.map((row) => [row.key, row.value])));
  assertChangeable(settings);
  return JSON.stringify(isSettingKey(key) ? settings[key] : null);
}
