/**
 * The name of this process in Postgres. The last process that uses an embedded server stops it, and finds
 * the other processes by their names.
 */

/** The `application_name` of every connection of this process. */
export function applicationName(): string {
  return `kennel:${process.pid}`;
}
