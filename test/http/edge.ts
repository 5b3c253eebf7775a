/**
 * Shared helpers of the tests of the HTTP edge: requests as bytes, and the form of every refusal.
 */
import assert from 'node:assert/strict';
import { type RawReply, send } from './raw_client.ts';

export const close = 'Connection: close\r\n';

export const jsonPost = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n';

/** Ends a test that waits in vain. Far longer than any of these suites takes. */
export const limit = { timeout: 300_000 };

/** The two plain requests, each on a connection of its own. */
export function requestsTo({ url }: { url: string }) {
  return {
    get: (target: string, headers = 'Host: acme.localhost\r\n') =>
      send(url, `GET ${target} HTTP/1.1\r\n${headers}${close}\r\n`),
    post: (body: string, headers = 'Content-Type: application/json\r\n') => {
      const length = `Content-Length: ${Buffer.byteLength(body, 'latin1')}\r\n`;
      return send(url, `POST / HTTP/1.1\r\nHost: a\r\n${headers}${length}${close}\r\n${body}`);
    },
  };
}

/** Whatever one client has done, the next one is served. */
export async function assertServing(server: { url: string }): Promise<void> {
  assert.equal((await requestsTo(server).get('/good')).status, 200, 'the server must still answer');
}

/** A refusal is a problem with Kennel's headers, whether Node or Kennel detected the fault. */
export function assertProblem(reply: RawReply, status: number, code: string): void {
  assert.equal(reply.status, status, reply.body);
  assert.equal(reply.headers['content-type'], 'application/problem+json');
  assert.equal(reply.headers['x-content-type-options'], 'nosniff');
  assert.equal(reply.headers['cache-control'], 'no-store');
  const problem = JSON.parse(reply.body);
  assert.equal(problem.code, code);
  assert.equal(problem.request_id, reply.headers['x-request-id']);
}

/** The statuses of all replies in a text. */
export function statusesIn(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => Number(status));
}
