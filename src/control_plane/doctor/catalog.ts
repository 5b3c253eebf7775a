/** The facts about our schemas in the catalog, which `sql/doctor/catalog.sql` lists. */
export type Fact = {
  /** Such as `table` or `policy`. It begins the name of the check: `table_missing`. */
  kind: string;
  /** The table that it belongs to, if any. */
  parent: string | null;
  object: string;
  value: string;
  /** The statements that create, correct and remove it; null where there is none. */
  add: string | null;
  make: string | null;
  drop: string | null;
  /** The type of a table's column, and the statement that corrects the column with its type. */
  type: string | null;
  retype: string | null;
};

/**
 * The facts of a schema; those of the whole database have an empty name. `facts` is null if the digest is
 * the expected one, or if many other schemas with a wrong digest come first.
 */
export type SchemaFacts = { schema: string; digest: string; facts: Fact[] | null };
