/** The facts about our schemas in the catalog, which `sql/doctor/catalog.sql` lists. */
export type Fact = {
  /** Such as `table` or `policy`. It begins the name of the check: `table_missing`. */
  kind: string;
  /** The table that it belongs to, if any. */
  parent: string | null;
  object: string;
  value: string;
  /** The statements that create and remove it; null where there is none. */
  make: string | null;
  drop: string | null;
};

/**
 * The facts of a schema; those of the whole database have an empty name. `facts` is null if the digest is
 * the expected one, or if many other schemas with a wrong digest come first.
 */
export type SchemaFacts = { schema: string; digest: string; facts: Fact[] | null };
