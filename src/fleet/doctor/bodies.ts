/** Functions that isolation and the trail rest on: each has to be what the newest file of sql/ made it. */
import type { Sql } from '../../kernel/ports.ts';
import type { Migration } from '../migration_files.ts';
import type { Examined } from './examined.ts';
import { type Check, type Finding, finding, quoted } from './finding.ts';

export type Guarded = {
  check: Check;
  schema: 'kernel' | 'control';
  name: string;
  /** As the catalog finds it. */
  signature: string;
  /** Whether it runs as its owner, how it varies, and which settings it has. */
  traits: string;
  /** What is broken while it is gone. */
  gone: string;
};

const fixedPath = '{"search_path=pg_catalog, pg_temp"}';

export const sealCheck: Guarded = {
  check: 'seal_check_changed',
  schema: 'kernel',
  name: 'tenant',
  signature: 'kernel.tenant()',
  traits: `true s ${fixedPath}`,
  gone: 'nobody can be served',
};

const ofControl: readonly Guarded[] = [
  { name: 'chain_event', signature: 'control.chain_event()', traits: `true v ${fixedPath}` },
  {
    name: 'audit_text',
    signature: 'control.audit_text(control.audit_events, bigint)',
    traits: 'false s ',
  },
  { name: 'announce', signature: 'control.announce()', traits: `true v ${fixedPath}` },
].map((one) => ({
  ...one,
  check: 'control_function_changed',
  schema: 'control',
  gone: 'what calls it fails',
}));

/** In the main database. */
export async function examineBodies(
  sql: Sql,
  examined: Examined,
  files: { kernel: readonly Migration[]; control: readonly Migration[] },
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const guarded of [sealCheck, ...ofControl]) {
    const { schema } = guarded;
    const [ledger] =
      schema === 'kernel'
        ? await sql<{ newest: number }>`select max(version) as newest from kernel.migrations`
        : await sql<{ newest: number }>`select max(version) as newest from control.migrations`;
    // Newer code may have made a newer one; an older process must be able to start beside it.
    const isNewer = (ledger?.newest ?? 0) > files[schema].length;
    const texts = files[schema].map(({ text }) => text);
    findings.push(...(await examineBody(sql, examined, { guarded, texts, anyBody: isNewer })));
  }
  return findings;
}

/** @param texts that make the function; the last one counts. */
export async function examineBody(
  sql: Sql,
  { database, owner }: Examined,
  { guarded, texts, anyBody }: { guarded: Guarded; texts: readonly string[]; anyBody: boolean },
): Promise<Finding[]> {
  const { check, signature, traits, gone } = guarded;
  const { head, body } = newestText(guarded, texts);
  const [found] = await sql<{ body: string; traits: string; owner: string }>`
    select prosrc as body, pg_get_userbyid(proowner) as owner,
      concat_ws(' ', prosecdef::text, provolatile, coalesce(proconfig::text, '')) as traits
    from pg_proc
    where oid = to_regprocedure(${signature})`;
  const sound = found?.traits === traits && found.owner === owner;
  if (found && sound && (anyBody || squeezed(found.body) === squeezed(body))) return [];
  return [
    finding(check, {
      database,
      where: `function ${signature} of database ${database}`,
      what: found ? 'It is not what Kennel made it' : `It is gone, and ${gone}`,
      mend: `create or replace function ${head}$$${body}$$;
        alter function ${signature} owner to ${quoted(owner)}`,
    }),
  ];
}

/** With its schema before each name of ours, as a mend needs it. */
function newestText(
  { schema, name }: Guarded,
  texts: readonly string[],
): { head: string; body: string } {
  const declaration = new RegExp(
    `create (?:or replace )?function ${name}(\\([\\s\\S]*?)\\$\\$([\\s\\S]*?)\\$\\$;`,
  );
  const found = texts.map((text) => declaration.exec(text)).findLast(Boolean);
  if (!found) throw new Error(`Cannot examine ${schema}.${name}: no file in sql/ makes it`);
  const [, head = '', body = ''] = found;
  const qualified = head.replaceAll(/\baudit_events\b/g, 'control.audit_events');
  return { head: `${schema}.${name}${qualified}`, body };
}

/** A mend that was put into one line is as good as the file. */
function squeezed(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim();
}
