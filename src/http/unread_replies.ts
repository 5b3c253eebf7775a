/**
 * Bounds the bytes of replies that clients have not read yet. Past a bound, the holder with the most
 * unread bytes loses its connection with the most. A client that reads, even slowly, has few.
 *
 * Source: B. Suter et al., "Design considerations for supporting TCP with per-flow queueing", 1998
 * (longest queue drop).
 */
import type { ClientConnection } from './client_connection.ts';

export type UnreadLimits = {
  /** Memory of a reply besides its body: an estimate of node's objects and ours, not measured. */
  replyBytes: number;
  /** For several replies on one connection; a single reply is bounded by `holderBytes`. */
  connectionBytes: number;
  /** For one holder: a tenant, or all clients without a tenant that got the same kind of reply. */
  holderBytes: number;
  /** For all holders. */
  bytes: number;
};

type Holder = { name: string; bytes: number; byConnection: Map<ClientConnection, number> };

export class UnreadReplies {
  readonly #limits: UnreadLimits;
  readonly #holders = new Map<string, Holder>();
  #bytes = 0;

  constructor(limits: UnreadLimits) {
    this.#limits = limits;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Counts a reply until the returned function is called. May close connections, this one included. */
  add(connection: ClientConnection, name: string, bodyBytes: number): () => void {
    const { replyBytes, connectionBytes, holderBytes, bytes: maxBytes } = this.#limits;
    const bytes = bodyBytes + replyBytes;
    const holder = this.#holders.get(name) ?? { name, bytes: 0, byConnection: new Map() };
    this.#holders.set(name, holder);
    this.#change(holder, connection, bytes);
    const held = holder.byConnection.get(connection) ?? 0;
    if (held > bytes && held > connectionBytes) this.#close(holder, connection);
    while (holder.bytes > holderBytes) this.#closeLargestOf(holder);
    while (this.#bytes > maxBytes) this.#closeLargestOf(largest(this.#holders.values(), bytesOf));
    return () => {
      // `#close` has removed all bytes of a connection that it closed.
      if (holder.byConnection.has(connection)) this.#change(holder, connection, -bytes);
    };
  }

  #closeLargestOf(holder: Holder): void {
    const [connection] = largest(holder.byConnection, ([, bytes]) => bytes);
    this.#close(holder, connection);
  }

  /** Removes its bytes now, because the socket emits `close` only later. */
  #close(holder: Holder, connection: ClientConnection): void {
    this.#change(holder, connection, -(holder.byConnection.get(connection) ?? 0));
    connection.socket.resetAndDestroy();
  }

  #change(holder: Holder, connection: ClientConnection, bytes: number): void {
    const held = (holder.byConnection.get(connection) ?? 0) + bytes;
    if (held === 0) holder.byConnection.delete(connection);
    else holder.byConnection.set(connection, held);
    holder.bytes += bytes;
    this.#bytes += bytes;
    if (holder.bytes === 0) this.#holders.delete(holder.name);
  }
}

function bytesOf({ bytes }: Holder): number {
  return bytes;
}

/** Returns the first item of maximum size: among equals, the one that was added first. */
function largest<Item>(items: Iterable<Item>, sizeOf: (item: Item) => number): Item {
  const [first, ...others] = items;
  if (first === undefined) throw new Error('Cannot choose the largest item: there is none');
  return others.reduce((most, item) => (sizeOf(item) > sizeOf(most) ? item : most), first);
}
