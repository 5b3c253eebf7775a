/**
 * A small reader and linter of the Prometheus text format, for tests: it checks the same as
 * `promtool check metrics`, which need not be installed.
 */

export type Sample = { name: string; labels: string; value: number };

type Family = { name: string; type: string };

const sampleLine =
  /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-z_]+="(?:[^"\\]|\\[\\"n])*",?)+)\})? ([-+.\w]+)$/;

/** Every sample of the text, without its comments. */
export function samples(text: string): Sample[] {
  return text.split('\n').flatMap((line) => {
    const [, name, labels = '', value] = sampleLine.exec(line) ?? [];
    return name === undefined ? [] : [{ name, labels, value: Number(value) }];
  });
}

/** The faults of the text, one sentence each; empty when there are none. */
export function lint(text: string): string[] {
  const blocks = text.split(/^(?=# HELP )/m);
  const series = text.split('\n').flatMap((line) => /^[^#].*(?= )/.exec(line) ?? []);
  const names = blocks.map((block) => familyOf(block).name);
  return [
    ...(text.endsWith('\n') ? [] : ['The last line does not end']),
    ...repeated(names).map((name) => `${name} is described twice`),
    ...repeated(series).map((name) => `${name} is there twice`),
    ...blocks.flatMap(lintBlock),
  ];
}

function lintBlock(block: string): string[] {
  const family = familyOf(block);
  const lines = block.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return [...lintFamily(family), ...lines.flatMap((line) => lintSample(line, family))];
}

function familyOf(block: string): Family {
  const [, name = '', type = ''] = /^# HELP (\S+) .+\n# TYPE \1 (\w+)\n/.exec(block) ?? [];
  return { name, type };
}

function lintFamily({ name, type }: Family): string[] {
  if (name === '') return ['A family does not begin with HELP and TYPE'];
  const total = name.endsWith('_total');
  if (type === 'counter' && !total) return [`The counter ${name} does not end in _total`];
  if (type !== 'counter' && total) return [`The ${type} ${name} ends in _total`];
  const odd = /_(ms|milliseconds|minutes|hours|kb|kilobytes|percent)(_total)?$/.test(name);
  return odd ? [`${name} is in no base unit`] : [];
}

function lintSample(line: string, { name: family, type }: Family): string[] {
  const [sample] = samples(line);
  if (!sample) return [`Unreadable: ${line}`];
  const suffixes = type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
  const known = suffixes.some((suffix) => sample.name === family + suffix);
  return known ? [] : [`${sample.name} is not of the family ${family}`];
}

function repeated(texts: string[]): string[] {
  return texts.filter((text, index) => texts.indexOf(text) !== index);
}
