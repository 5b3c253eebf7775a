/** Pieces of injected SQL. */

/** Ends the surrounding statement and adds rows of its own: pairs of text. */
export function union(...selects: string[]): string {
  return `nobody'${selects.map((select) => ` union all ${select}`).join('')} --`;
}

/** A row that runs one more query, whose rights are checked anew. */
export function runs(query: string): string {
  return `select '', query_to_xml(${quoted(query)}, true, false, '')::text`;
}

/** A row that changes a setting of the transaction. */
export function sets(name: string, value: string): string {
  return `select '', set_config(${quoted(name)}, ${value}, true)`;
}

export function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
