/**
 * The replies that clients have not read yet, in bytes. Past a bound the connection with the most
 * unread bytes is closed, of the holder that has the most: who reads, however slowly, has little.
 *
 * Source: B. Suter et al., "Design considerations for supporting TCP with per-flow queueing", 1998
 * (longest queue drop).
 */
import type { Connection } from './client_connection.ts';

export type UnreadLimits = {
  /** What a reply takes besides its body, node's objects and ours: an estimate, not measured. */
  replyBytes: number;
  /** Of several replies on one connection; a single one is bounded by its holder. */
  connectionBytes: number;
  /** Of one holder: a tenant, or all who got such a reply without being one. */
  holderBytes: number;
  bytes: number;
};

type Holder = { name: string; bytes: number; byConnection: Map<Connection, number> };

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

  /** Counts a reply until the returned function is called. May close connections, also this one. */
  add(connection: Connection, name: string, bodyBytes: number): () => void {
    const { replyBytes, connectionBytes, holderBytes, bytes: most } = this.#limits;
    const bytes = bodyBytes + replyBytes;
    const holder = this.#holders.get(name) ?? { name, bytes: 0, byConnection: new Map() };
    this.#holders.set(name, holder);
    this.#change(holder, connection, bytes);
    const held = holder.byConnection.get(connection) ?? 0;
    if (held > bytes && held > connectionBytes) this.#close(holder, connection);
    while (holder.bytes > holderBytes) this.#closeLargestOf(holder);
    while (this.#bytes > most) this.#closeLargestOf(largest(this.#holders.values(), bytesOf));
    return () => {
      // A connection that was closed for its unread bytes has been taken out as a whole.
      if (holder.byConnection.has(connection)) this.#change(holder, connection, -bytes);
    };
  }

  #closeLargestOf(holder: Holder): void {
    const [connection] = largest(holder.byConnection, ([, bytes]) => bytes);
    this.#close(holder, connection);
  }

  /** Its bytes are taken out at once, because the socket tells of its end only later. */
  #close(holder: Holder, connection: Connection): void {
    this.#change(holder, connection, -(holder.byConnection.get(connection) ?? 0));
    connection.socket.destroy();
  }

  #change(holder: Holder, connection: Connection, bytes: number): void {
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

/** The first of those with the highest size: the connection that has been waiting for longest. */
function largest<Item>(items: Iterable<Item>, sizeOf: (item: Item) => number): Item {
  const [first, ...others] = items;
  if (first === undefined) throw new Error('Cannot choose the largest: there is nothing');
  return others.reduce((most, item) => (sizeOf(item) > sizeOf(most) ? item : most), first);
}
