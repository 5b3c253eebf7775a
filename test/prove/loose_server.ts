/**
 * A plain Node HTTP server, without Kennel's strictness: the last of several Host lines counts,
 * paths are decoded, and Node's lenient parser accepts a body with two lengths.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json as readJson } from 'node:stream/consumers';
import { newRecord } from '../../src/http/exchange.ts';
import { headerValues } from '../../src/http/header_values.ts';
import { problem, refusalFrom } from '../../src/http/problem.ts';
import type { HttpRequest } from '../../src/http/request.ts';
import type { Reply, RequestRecord } from '../../src/kernel/ports.ts';

export class LooseServer {
  readonly #server: Server;

  constructor(
    handle: (request: HttpRequest, record: RequestRecord) => Promise<Reply>,
    newId: () => string,
  ) {
    const lenient = { insecureHTTPParser: true, requireHostHeader: false };
    this.#server = createServer(lenient, async (incoming, outgoing) => {
      const record = newRecord(newId());
      const reply = await handle(looselyRead(incoming), record).catch((error: unknown) =>
        problem(refusalFrom(error), record.requestId),
      );
      const headers = { 'content-type': 'application/json', ...reply.headers };
      outgoing.writeHead(reply.status, headers).end(reply.body);
    });
  }

  async listen(host: string, port: number): Promise<string> {
    this.#server.listen(port, host);
    await once(this.#server, 'listening');
    const address: AddressInfo | string | null = this.#server.address();
    return `http://${host}:${typeof address === 'object' ? address?.port : ''}`;
  }

  async drain(_limitMs: number): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

function looselyRead(incoming: IncomingMessage): HttpRequest {
  const { rawHeaders, headers, url = '/', method = '' } = incoming;
  const [target = '/', query = ''] = url.replace(/^https?:\/\/[^/]*/, '').split('?');
  const path = decodeURIComponent(target);
  const [, named] = /^https?:\/\/([^/]*)/.exec(url) ?? [];
  const host = named ?? headerValues(rawHeaders, 'host').at(-1) ?? '';
  return {
    method,
    path,
    query,
    facts: {
      host: host.toLowerCase().replace(/:\d+$/, ''),
      path,
      tenantHeaders: headerValues(rawHeaders, 'x-tenant-id'),
    },
    authorization: headers.authorization ?? null,
    idempotencyKey: null,
    preconditions: null,
    prefersRepresentation: false,
    hasBody: false,
    origin: null,
    preflight: false,
    address: incoming.socket.remoteAddress ?? '',
    body: () => readJson(incoming),
  };
}
