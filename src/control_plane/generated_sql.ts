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

/**
 * Returns such a text for a statement that is sent often: a session prepares it once, as it does constants of the
 * code, and no longer plans it after a few uses. Other users of the session could read it, so it must not hold a
 * tenant's data.
 */
export function repeatedStatement(...parts: readonly string[]): TemplateStringsArray {
  return Object.freeze(statementOf(...parts));
}
