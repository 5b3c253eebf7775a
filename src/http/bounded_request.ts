/**
 * Bounds the requests that one packet can make node parse. Node's parser makes an object of each request
 * in a packet, up to 1 800 in 64 KiB, before the first can be answered. It only stops at a request for
 * another protocol (`upgrade`). So the first request past the bound pretends to be one, and node gives up
 * the socket.
 *
 * Source: `parserOnIncoming` and `onParserExecuteCommon` in node's lib/_http_server.js.
 */
import { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Returns a class for the option `IncomingMessage` of a server. A request on a full socket is emitted as
 * `upgrade`, which ends the parsing. Others never are, whatever their headers; CONNECT is unchanged.
 */
export function boundedRequest(isFull: (socket: Socket) => boolean): typeof IncomingMessage {
  return class extends IncomingMessage {
    #stops: boolean | undefined;

    /** Decided at node's first call; node asks again when the packet has been read. */
    get upgrade(): boolean {
      this.#stops ??= this.method === 'CONNECT' || isFull(this.socket);
      return this.#stops;
    }

    /** Ignores the value that node derives from the headers. */
    set upgrade(_) {}
  };
}
