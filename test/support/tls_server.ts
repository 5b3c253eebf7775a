/** A Postgres of the tests with TLS and with the test's own pg_hba.conf rules. */

import type { SelfSigned } from './self_signed.ts';
import { lookInto } from './sql.ts';
import { until } from './until.ts';

/**
 * Through the server, to which the files have to belong.
 *
 * @param url the superuser's. @param rules lines of pg_hba.conf that come before the others.
 */
export async function turnOnTls(
  url: string,
  { key, certificate }: SelfSigned,
  rules: readonly string[] = [],
): Promise<void> {
  const files = { 'server.key': key, 'server.crt': certificate };
  await lookInto(url, async (sql) => {
    for (const [name, pem] of Object.entries(files)) await sql.unsafe(written(name, pem));
    const [row] = await sql<{ rules: string }[]>`select pg_read_file('pg_hba.conf') as rules`;
    await sql.unsafe(written('pg_hba.conf', `${rules.join('\n')}\n${row?.rules}`));
    await sql`alter system set ssl = on`;
    await sql`alter system set ssl_ca_file = 'server.crt'`;
    await sql`select pg_reload_conf()`;
  });
  await until(() => lookInto(url, async (sql) => (await sql`show ssl`)[0]?.ssl === 'on'));
}

function written(name: string, text: string): string {
  const literal = `'${text.trim().replaceAll("'", "''")}'`;
  return `copy (select unnest(string_to_array(${literal}, e'\\n')))
    to program 'umask 077; cat > ${name}'`;
}
