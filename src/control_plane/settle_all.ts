/** Waits for independent work to end: one failure must not stop the rest. */

/**
 * @param what the work is, for the message.
 * @param known reasons why other parts of the work cannot be done.
 * @throws {AggregateError} when some of it failed. Its message names the first reason.
 */
export async function settleAll(
  what: string,
  work: readonly Promise<unknown>[],
  known: readonly Error[],
): Promise<void> {
  const outcomes = await Promise.allSettled(work);
  const failed = outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
  const [first, ...others] = [...known, ...failed];
  if (first === undefined) return;
  const reason = first instanceof Error ? first.message : String(first);
  const more = others.length === 0 ? '' : `, and ${others.length} more`;
  throw new AggregateError([first, ...others], `Cannot ${what}: ${reason}${more}`);
}
