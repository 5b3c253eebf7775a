/**
 * Changes that a broken or hostile server, or a machine in between, can make to the messages that
 * are due.
 */
import { choose } from '../../support/random.ts';
import * as server from '../../support/server_messages.ts';

type Random = () => number;
type Mutation = (messages: Buffer[], random: Random) => Buffer[];

const { bound, closed, columns, done, failed, noData, parameters, parsed, row, serverMessage } =
  server;

/** Messages of every kind; none of them is due. */
const strays: readonly Buffer[] = [
  ...[bound, closed, noData, parameters, parsed],
  ...[columns(), columns(['marker', 25]), columns(['marker', 25], ['marker', 3802])],
  ...[row(), row('stray'), row('stray', 'stray'), row(null)],
  ...[
    done('SELECT 0'),
    done('SELECT 1'),
    done('RESET'),
    done('COMMIT'),
    done(''),
    serverMessage('I'),
  ],
  ...[failed('22012'), failed('57P01', 'FATAL'), failed(''), serverMessage('E')],
  ...['I', 'T', 'E', '?', '', 'II'].map((status) => serverMessage('Z', status)),
  // Authentication, BackendKeyData, NegotiateProtocolVersion, CopyIn, -Out, -Both, -Data, -Done.
  ...[...'RKvGHWdcsV?\0\x7f'].map((type) => serverMessage(type)),
  ...[
    serverMessage('R', '\0\0\0\0'),
    serverMessage('R', '\0\0\0\x03'),
    serverMessage('T'),
    serverMessage('D'),
    serverMessage('T', '\xff\xff'),
  ],
  Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'),
  Buffer.from('Z\0\0\0\x03', 'latin1'),
  Buffer.from('D\0\0\0\0', 'latin1'),
  serverMessage('D', '\0\x01', '\x7f\xff\xff\xff', 'x'),
  row('x'.repeat(10_000)),
];

/** Messages that the server may send at any time. */
const harmless: readonly Buffer[] = [
  serverMessage('N', 'SNOTICE\0VNOTICE\0C00000\0Mlook\0\0'),
  serverMessage('S', 'TimeZone\0UTC\0'),
  serverMessage('A', '\0\0\0\x01', 'news\0\0'),
];

function indexIn(messages: readonly Buffer[], random: Random): number {
  return Math.floor(random() * messages.length);
}

function put(messages: Buffer[], message: Buffer, random: Random): Buffer[] {
  return messages.toSpliced(Math.floor(random() * (messages.length + 1)), 0, message);
}

function changed(messages: Buffer[], random: Random, change: (bytes: Buffer) => Buffer): Buffer[] {
  const at = indexIn(messages, random);
  return messages.with(at, change(Buffer.from(messages[at] ?? [])));
}

/** One of them is enough to detect a client that counts too little. */
export const mutations: Readonly<Record<string, Mutation>> = {
  none: (messages) => messages,
  dropped: (messages, random) => messages.toSpliced(indexIn(messages, random), 1),
  doubled: (messages, random) => {
    const at = indexIn(messages, random);
    return messages.toSpliced(at, 0, ...messages.slice(at, at + 1));
  },
  repeated: (messages, random) => put(messages, choose(messages, random), random),
  moved: (messages, random) => {
    const at = indexIn(messages, random);
    return put(messages.toSpliced(at, 1), choose(messages.slice(at, at + 1), random), random);
  },
  stray: (messages, random) => put(messages, choose(strays, random), random),
  harmless: (messages, random) => put(messages, choose(harmless, random), random),
  ended: (messages, random) => messages.slice(0, indexIn(messages, random)),
  cutShort: (messages, random) => {
    return changed(messages, random, (bytes) =>
      bytes.subarray(0, Math.floor(random() * bytes.length)),
    );
  },
  otherType: (messages, random) => {
    return changed(messages, random, (bytes) => {
      bytes[0] = choose([...Buffer.from('123tTnDCIEZNASGHWdcsRKvV?')], random);
      return bytes;
    });
  },
  otherLength: (messages, random) => {
    return changed(messages, random, (bytes) => {
      const length = bytes.readUInt32BE(1);
      const wrong = [0, 3, 4, length - 1, length + 1, length + 20, 0x7fff_ffff, 0xffff_ffff];
      bytes.writeUInt32BE(choose(wrong, random), 1);
      return bytes;
    });
  },
  otherByte: (messages, random) => {
    return changed(messages, random, (bytes) => {
      bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
      return bytes;
    });
  },
  otherStatus: (messages, random) => {
    const all = [...messages.keys()].filter((at) => messages[at]?.[0] === 'Z'.charCodeAt(0));
    return messages.with(choose(all, random), serverMessage('Z', choose(['I', 'T', 'E'], random)));
  },
};

/** Cut at up to 20 positions, including the middle of a head. */
export function inPieces(bytes: Buffer, random: Random): Buffer[] {
  const many = Math.floor(random() * 21);
  const cuts = Array.from({ length: many }, () => Math.floor(random() * bytes.length));
  const ends = [...cuts.sort((one, other) => one - other), bytes.length];
  return ends.map((end, at) => bytes.subarray(ends[at - 1] ?? 0, end));
}
