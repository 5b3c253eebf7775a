/**
 * Node's parser makes an object of every request in a packet, 1 800 of them in 64 KiB, before the
 * first can be answered. It stops in one place only: where a request asks for another protocol. So
 * a request past the bound is taken for one that does, and node lets go of the socket.
 *
 * Source: `parserOnIncoming` and `onParserExecuteCommon` in node's lib/_http_server.js.
 */
import { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

/**
 * The class of a server's requests, for its option `IncomingMessage`. A request on a socket that
 * `isFull` says of is emitted as `upgrade` and ends the parsing; no other one is, whatever it offers.
 */
export function boundedRequest(isFull: (socket: Socket) => boolean): typeof IncomingMessage {
  return class extends IncomingMessage {
    #stops: boolean | undefined;

    /** Decided when node asks for the first time; it asks again when the packet has been read. */
    get upgrade(): boolean {
      this.#stops ??= this.method === 'CONNECT' || isFull(this.socket);
      return this.#stops;
    }

    /** What node makes of the headers, which are not trusted with it. */
    set upgrade(_) {}
  };
}
