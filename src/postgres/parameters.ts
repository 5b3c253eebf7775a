/** What may be a parameter of a statement. */

/**
 * The driver meets a value it cannot write while it builds the message, and then rejects whatever
 * statement is running instead; so such a value must not get that far.
 *
 * @throws {TypeError} for any other value.
 */
export function assertValues(values: readonly unknown[]): void {
  for (const value of values) {
    const kind = typeof value;
    const fine =
      kind === 'string' ||
      kind === 'number' ||
      kind === 'boolean' ||
      value === null ||
      value instanceof Uint8Array;
    if (!fine) throw new TypeError(`Cannot use a value of type ${typeof value} as a parameter`);
  }
}
