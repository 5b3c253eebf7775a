/** Text for HTML and SVG. */

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
};

/** Markup that may be inserted as it is. */
export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** A template whose values are escaped, unless they are markup or lists of markup. */
export function markup(texts: TemplateStringsArray, ...values: Inserted[]): Markup {
  return new Markup(texts.map((text, at) => text + inserted(values[at] ?? '')).join(''));
}

type Inserted = string | number | Markup | readonly Markup[];

function inserted(value: Inserted): string {
  if (value instanceof Markup) return value.text;
  if (typeof value === 'object') return value.map(({ text }) => text).join('');
  return String(value).replaceAll(/[&<>"]/g, (char) => entities[char] ?? '');
}
