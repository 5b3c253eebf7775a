/**
 * An expression that neither a timeout nor pg_terminate_backend ends: it stays within one call of a C
 * function, which compares the needle almost to its beginning at each place of the haystack. It is 0.
 *
 * @param seconds that it takes on a machine with nothing else to do; on a busy one it takes longer.
 */
export function uncancellable(seconds: number): string {
  return `strpos(repeat('a', 20000000), 'b' || repeat('a', ${50 * seconds}))`;
}
