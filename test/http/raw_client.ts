/**
 * A client that sends exactly the bytes that it is given, for requests that no proper client would
 * send. Connects to 127.0.0.1 only.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

// Far longer than any of these answers takes; it ends a test that would otherwise hang.
const patienceMs = 60_000;

export type RawReply = { status: number; headers: Record<string, string>; body: string };

/** Opens a connection to a `http://127.0.0.1:port` URL. */
export async function open(url: string): Promise<Socket> {
  const socket = connect(Number(url.split(':').at(-1)), '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

/**
 * All that the server sends until it closes the connection.
 *
 * @throws {Error} when it leaves the connection open.
 */
export async function untilClosed(socket: Socket): Promise<string> {
  let text = '';
  let keptOpen = false;
  socket.setTimeout(patienceMs, () => {
    keptOpen = true;
    socket.destroy();
  });
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  await closed(socket);
  if (keptOpen) throw new Error(`Cannot read to the end: the server kept silent after "${text}"`);
  return text;
}

/** Not `events.once`, which rejects on the reset that a cut-off connection may end with. */
export async function closed(socket: Socket): Promise<void> {
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve));
}

/** What the server sends until `enough` says so. */
export async function untilText(socket: Socket, enough: (text: string) => boolean) {
  let text = '';
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    text += String(chunk);
    if (enough(text)) break;
  }
  return text;
}

/** Sends bytes on a new connection and reads until the server closes it. */
export async function send(url: string, bytes: string): Promise<RawReply> {
  const socket = await open(url);
  socket.write(bytes, 'latin1');
  return parseReply(await untilClosed(socket));
}

/** Sends all bytes before it reads any: a reset on the way would take the reply from it. */
export async function sendBeforeReading(url: string, bytes: string): Promise<RawReply> {
  const socket = await open(url);
  await new Promise((resolve) => socket.write(bytes, 'latin1', resolve));
  return parseReply(await untilClosed(socket));
}

/** The first reply in a text. */
export function parseReply(text: string): RawReply {
  const [head = '', ...rest] = text.split('\r\n\r\n');
  const [statusLine = '', ...lines] = head.split('\r\n');
  const headers = lines.map((line): [string, string] => {
    const [name = '', ...value] = line.split(': ');
    return [name.toLowerCase(), value.join(': ')];
  });
  const status = Number(statusLine.split(' ')[1]);
  return { status, headers: Object.fromEntries(headers), body: rest.join('\r\n\r\n') };
}
