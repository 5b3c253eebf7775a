/**
 * The driver's own second attempt. A prepared statement that is gone, or whose result has another type
 * now, it would send again, behind what it has sent so far. That can be the beginning of another
 * tenant's envelope, while the driver holds back the rest: it does so behind a statement whose
 * parameters it does not know yet, and while the socket is full. So its lane ends before.
 *
 * Source: `retry` in the driver's `connection.js`, which notes the error in `retried` first.
 */

/** Where a query keeps whom to tell. */
const listener = Symbol('listener');

/** What they have in common, once seen; a property of each query's own would make it a slow object. */
let prototype: object | null = null;

/** Calls `onResend` at the very moment that the driver is about to send the query again. */
export function beforeResending(query: object, onResend: () => void): void {
  if (prototype === null) prototype = watchRetries(query);
  Reflect.set(query, listener, onResend);
}

function watchRetries(query: object): object {
  return Object.defineProperty(Object.getPrototypeOf(query), 'retried', {
    set(this: { [listener]?: () => void }, error: unknown) {
      const tell = this[listener];
      // A query of other clients is none of ours: it keeps its error, as without us.
      if (tell === undefined) Object.defineProperty(this, 'retried', { value: error });
      else tell();
    },
  });
}
