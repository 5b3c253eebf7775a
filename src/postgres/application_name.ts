/**
 * The name under which this process is known to Postgres. An operator who is about to stop a shared server
 * looks for the names of other processes first.
 */

/** The `application_name` of every connection of this process. */
export function applicationName(): string {
  return `kennel:${process.pid}`;
}
