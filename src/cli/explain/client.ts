/** Sends requests to the command's own server, on `node:http`: `fetch` allows no `Host` header. */
import { once } from 'node:events';
import { Agent, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';

export type Sent = {
  method: string;
  path: string;
  headers?: Readonly<Record<string, string>>;
  /** JSON text. */
  body?: string | null;
};

export type Received = {
  status: number;
  headers: IncomingHttpHeaders;
  requestId: string;
  text: string;
};

const agent = new Agent({ keepAlive: true });

export async function send(
  url: string,
  { method, path, headers = {}, body = null }: Sent,
): Promise<Received> {
  const { hostname, port } = new URL(url);
  const json = body === null ? {} : { 'content-type': 'application/json' };
  const all = { ...json, ...headers };
  const outgoing = request({ agent, hostname, port, method, path, headers: all });
  outgoing.end(body);
  const [incoming]: IncomingMessage[] = await once(outgoing, 'response');
  if (!incoming) throw new Error(`Cannot send ${method} ${path}: the server did not reply`);
  return {
    status: incoming.statusCode ?? 0,
    headers: incoming.headers,
    requestId: String(incoming.headers['x-request-id']),
    text: await text(incoming),
  };
}

export function bearer(token: string): { authorization: string } {
  return { authorization: `Bearer ${token}` };
}
