/**
 * An expression that neither a timeout nor pg_terminate_backend ends: it stays within one call of a
 * C function, which compares the needle almost to its beginning at each position of the haystack.
 * Its value is 0.
 *
 * @param seconds its duration on an idle machine; on a busy one it takes longer.
 */
export function uncancellable(seconds: number): string {
  // Not known before it runs, or the planner would compute it.
  const haystack = `repeat('a', 20000000 + (0 * random())::int)`;
  return `strpos(${haystack}, 'b' || repeat('a', ${50 * seconds}))`;
}
