/** Statements whose text is made at run time, from names of the catalog and from files of ours. */

/** Returns a text without parameters as a statement. It is not prepared, because it is not frozen. */
export function asTemplate(text: string): TemplateStringsArray {
  return withGaps([text]);
}

/** Returns the parts of a text around its parameters as a statement. */
export function withGaps(parts: readonly string[]): TemplateStringsArray {
  return Object.assign([...parts], { raw: parts });
}
