/** The baselines' tables, with the same pets as the tenants of shared mode, and their logins. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { connect } from '../cluster.ts';
import { limits } from '../limits.ts';
import type { LoadTenant } from '../provision.ts';

const tables = ['bench_untenanted', 'bench_textbook', 'bench_plain'] as const;

/** Makes and fills the tables. Returns the URL of a login that may read and write them. */
export async function makeBaselines(
  url: string,
  loadTenants: readonly LoadTenant[],
): Promise<string> {
  const admin = connect(url);
  try {
    const database = new URL(url).pathname.slice(1);
    const role = `${database}_baseline`;
    const password = randomBytes(16).toString('hex');
    const ddl = await readFile(new URL('tables.sql', import.meta.url), 'utf8');
    await admin.unsafe(
      ddl
        .replaceAll(':"database"', `"${database}"`)
        .replaceAll(':"role"', `"${role}"`)
        .replaceAll(":'password'", `'${password}'`),
    );
    for (const schema of tables) {
      for (const rows of inBatches(loadTenants)) {
        await admin`
          insert into ${admin(schema)}.pets (tenant_id, id, name, species, breed, birth_date)
          select tenant_id, id, name, species, breed, birth_date
          from jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb) as pet (
            tenant_id uuid, id uuid, name text, species text, breed text, birth_date date
          )`;
      }
    }
    const baseline = new URL(url);
    baseline.username = role;
    baseline.password = password;
    return baseline.href;
  } finally {
    await admin.end({ timeout: 1 });
  }
}

function* inBatches(loadTenants: readonly LoadTenant[]) {
  const rows = loadTenants.flatMap(({ id, pets }) =>
    pets.map((pet) => ({ tenant_id: id, ...pet })),
  );
  for (let from = 0; from < rows.length; from += limits.rowsPerStatement) {
    yield rows.slice(from, from + limits.rowsPerStatement);
  }
}
