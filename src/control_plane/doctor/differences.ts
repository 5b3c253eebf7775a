/** Compares expected and found facts. Each difference is a finding, with the statement that fixes it. */
import type { Fact } from './catalog.ts';
import { type Finding, finding } from './finding.ts';

/** The place of the facts, and the values of `{schema}` and `{app}` there. */
export type Setting = { database: string; schema: string; app: string };

/** The kinds that have columns, owners and rights: if one is missing or extra, these are not reported. */
const relations: ReadonlySet<string> = new Set([
  ...['table', 'sequence', 'view', 'materialized_view', 'foreign_table', 'type'],
]);

/** Characters of a value that a finding shows. */
const shownChars = 300;

export function differences(
  expected: readonly Fact[],
  found: readonly Fact[],
  setting: Setting,
): Finding[] {
  const must = byObject(expected, setting);
  const is = byObject(found, setting);
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
    .map(([, fact]) => excessive(fact, setting));
  return [...lacking, ...extra];
}

function byObject(facts: readonly Fact[], setting: Setting): ReadonlyMap<string, Fact> {
  return new Map(
    facts.map((fact) => {
      const there = placed(fact, setting);
      return [`${there.kind} ${there.object}`, there];
    }),
  );
}

function placed(fact: Fact, { schema, app }: Setting): Fact {
  const put = (text: string) => text.replaceAll('{schema}', schema).replaceAll('{app}', app);
  const { kind, parent, object, value, make, drop } = fact;
  return {
    kind,
    parent: parent && put(parent),
    object: put(object),
    value: put(value),
    make: make && put(make),
    drop: drop && put(drop),
  };
}

function tablesOnlyIn(some: ReadonlyMap<string, Fact>, others: ReadonlyMap<string, Fact>) {
  return [...some]
    .filter(([object, { kind }]) => relations.has(kind) && !others.has(object))
    .map(([, { parent }]) => parent);
}

function missing(fact: Fact, setting: Setting): Finding {
  const what =
    fact.value === '' ? 'It is not there' : `It is not there, and should be ${shown(fact)}`;
  return told('missing', fact, { ...setting, what, fix: fact.make });
}

function changed(fact: Fact, found: Fact, setting: Setting): Finding {
  const what = `It is ${shown(found)}, and should be ${shown(fact)}`;
  return told('changed', fact, { ...setting, what, fix: fact.make });
}

function excessive(fact: Fact, setting: Setting): Finding {
  const what = 'No file of sql/ makes it';
  const more = fact.value === '' ? what : `${what}: ${shown(fact)}`;
  return told('extra', fact, { ...setting, what: more, fix: fact.drop });
}

function told(
  how: 'missing' | 'changed' | 'extra',
  { kind, object }: Fact,
  { database, what, fix }: Pick<Finding, 'database' | 'what' | 'fix'>,
): Finding {
  const where = `${object} of database ${database}`;
  return finding(`${kind}_${how}`, { database, where, what, fix });
}

function shown({ value }: Fact): string {
  const line = value.replaceAll(/\s+/g, ' ');
  return line.length > shownChars ? `"${line.slice(0, shownChars)}…"` : `"${line}"`;
}
