/** Compares expected and found facts. Each difference is a finding, with the statement that fixes it. */
import type { Fact } from './catalog.ts';
import { type Finding, finding } from './finding.ts';

/** The place of the facts, and the values of `{schema}` and `{app}` there. */
export type Setting = { database: string; schema: string; app: string };

type Facts = ReadonlyMap<string, Fact>;

/** The kinds that have columns, owners and rights: if one is missing or extra, these are not reported. */
const relations: ReadonlySet<string> = new Set([
  ...['table', 'sequence', 'view', 'materialized_view', 'foreign_table', 'type'],
]);

/** Characters of a value that a finding shows. */
const shownChars = 300;

/** Returns a finding for each fact that is missing, changed or extra. */
export function differences(
  expected: readonly Fact[],
  found: readonly Fact[],
  setting: Setting,
): Finding[] {
  const [must, is] = [byObject(expected), byObject(found)];
  // For a missing or extra table, its columns and policies are not reported one by one.
  const gone = new Set([...tablesOnlyIn(must, is), ...tablesOnlyIn(is, must)]);
  const tells = ({ kind, parent }: Fact) => relations.has(kind) || !gone.has(parent ?? '');
  const lacking = [...must].flatMap(([object, fact]) => {
    const other = is.get(object);
    if (!tells(fact) || other?.value === fact.value) return [];
    return [other ? changed(fact, other, setting) : missing(fact, setting)];
  });
  const extra = [...is]
    .filter(([object, fact]) => !must.has(object) && tells(fact))
    .map(([, fact]) => excessive(fact, expected, setting));
  return [...lacking, ...extra];
}

function byObject(facts: readonly Fact[]): Facts {
  return new Map(facts.map((fact) => [`${fact.kind} ${fact.object}`, fact]));
}

function tablesOnlyIn(some: Facts, others: Facts) {
  return [...some]
    .filter(([object, { kind }]) => relations.has(kind) && !others.has(object))
    .map(([, { parent }]) => parent);
}

function missing(fact: Fact, setting: Setting): Finding {
  const what = 'It is missing';
  const more = fact.value === '' ? what : `${what}, and should be ${shown(fact, setting)}`;
  return findingOf('missing', fact, { ...setting, what: more, fix: fact.add });
}

function changed(fact: Fact, found: Fact, setting: Setting): Finding {
  const what = `It is ${shown(found, setting)}, and should be ${shown(fact, setting)}`;
  // Only another type: to correct it rewrites the table, and is refused for a column that a policy names.
  const fix = fact.type === found.type ? fact.make : fact.retype;
  return findingOf('changed', fact, { ...setting, what, fix });
}

function excessive(fact: Fact, expected: readonly Fact[], setting: Setting): Finding {
  const what = 'No file of sql/ makes it';
  const more = fact.value === '' ? what : `${what}: ${shown(fact, setting)}`;
  const how = isHarmlessIndex(fact) || isRebuilt(fact, expected) ? 'added' : 'extra';
  return findingOf(how, fact, { ...setting, what: more, fix: fact.drop });
}

/** Whether it is an index of columns alone, which refuses no row. */
function isHarmlessIndex({ kind, value }: Fact): boolean {
  const isPlain =
    /^CREATE INDEX [^(]*\([\w", ]+\)(?: INCLUDE \([\w", ]+\))?(?: WITH \([^)]*\))?(?: invalid)?$/;
  return kind === 'index' && isPlain.test(value);
}

/** Whether REINDEX CONCURRENTLY is building it, in place of an expected one. */
function isRebuilt(fact: Fact, expected: readonly Fact[]): boolean {
  if (fact.kind !== 'index' || !/_cc(?:new|old)\d*"? of table/.test(fact.object)) return false;
  const isSame = (other: Fact) => other.parent === fact.parent && indexed(other) === indexed(fact);
  return expected.some(isSame);
}

/** What an index, or that of a key, contains and refuses; null for other facts. */
function indexed({ kind, value }: Fact): string | null {
  const definition = value.replace(/ invalid(?= statistics |$)/, '').replace(/ statistics .*$/, '');
  const [, unique = '', content] = /^CREATE (UNIQUE )?INDEX .*? USING (.*)$/.exec(definition) ?? [];
  if (kind === 'index' && content !== undefined) return `${unique}${content}`;
  const [, columns] = /^(?:PRIMARY KEY|UNIQUE) (\(.*\))$/.exec(value) ?? [];
  return columns === undefined ? null : `UNIQUE btree ${columns}`;
}

function findingOf(
  how: 'missing' | 'changed' | 'extra' | 'added',
  { kind, object }: Fact,
  { what, fix, ...setting }: Setting & Pick<Finding, 'what' | 'fix'>,
): Finding {
  const { database } = setting;
  const where = `${placed(object, setting)} of database ${database}`;
  return finding(`${kind}_${how}`, { database, where, what, fix: fix && placed(fix, setting) });
}

function shown({ value }: Fact, setting: Setting): string {
  const line = placed(value, setting).replaceAll(/\s+/g, ' ');
  return line.length > shownChars ? `"${line.slice(0, shownChars)}…"` : `"${line}"`;
}

function placed(text: string, { schema, app }: Setting): string {
  return text.replaceAll('{schema}', schema).replaceAll('{app}', app);
}
