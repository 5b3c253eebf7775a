/** Statements that are built from names of the catalog. Values are always parameters. */

/** @example identifier('pets') // '"pets"' */
export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/**
 * Returns a text for `Sql`, with a parameter between two parts.
 *
 * @example sql(statementOf('select ', '::text'), 'a')
 */
export function statementOf(...parts: readonly string[]): TemplateStringsArray {
  return Object.assign([...parts], { raw: parts });
}
