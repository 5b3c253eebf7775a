/**
 * An expression that neither a timeout nor pg_terminate_backend ends: it stays within one call of a C
 * function, which compares the needle almost to its beginning at each place of the haystack. It is 0.
 *
 * @param seconds that it takes on a machine with nothing else to do; on a busy one it takes longer.
 */
export function uncancellable(seconds: number): string {
  // Not known before it runs, or the planner would work it out.
  const haystack = `repeat('a', 20000000 + (0 * random())::int)`;
  return `strpos(${haystack}, 'b' || repeat('a', ${50 * seconds}))`;
}
