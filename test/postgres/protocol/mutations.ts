/** What a broken or hostile server, or something between, can make of the messages that are due. */
import { choose } from '../../support/random.ts';
import * as server from '../../support/server_messages.ts';

type Chance = () => number;
type Mutation = (messages: Buffer[], chance: Chance) => Buffer[];

const { bound, closed, columns, done, failed, noData, parameters, parsed, row, said } = server;

/** Messages of every kind, which nobody is owed. */
const strays: readonly Buffer[] = [
  ...[bound, closed, noData, parameters, parsed],
  ...[columns(), columns(['marker', 25]), columns(['marker', 25], ['marker', 3802])],
  ...[row(), row('stray'), row('stray', 'stray'), row(null)],
  ...[done('SELECT 0'), done('SELECT 1'), done('RESET'), done('COMMIT'), done(''), said('I')],
  ...[failed('22012'), failed('57P01', 'FATAL'), failed(''), said('E')],
  ...['I', 'T', 'E', '?', '', 'II'].map((status) => said('Z', status)),
  // Authentication, BackendKeyData, NegotiateProtocolVersion, CopyIn, -Out, -Both, -Data, -Done.
  ...[...'RKvGHWdcsV?\0\x7f'].map((type) => said(type)),
  ...[said('R', '\0\0\0\0'), said('R', '\0\0\0\x03'), said('T'), said('D'), said('T', '\xff\xff')],
  Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'),
  Buffer.from('Z\0\0\0\x03', 'latin1'),
  Buffer.from('D\0\0\0\0', 'latin1'),
  said('D', '\0\x01', '\x7f\xff\xff\xff', 'x'),
  row('x'.repeat(10_000)),
];

/** What the server may send at any time. */
const harmless: readonly Buffer[] = [
  said('N', 'SNOTICE\0VNOTICE\0C00000\0Mlook\0\0'),
  said('S', 'TimeZone\0UTC\0'),
  said('A', '\0\0\0\x01', 'news\0\0'),
];

function place(messages: readonly Buffer[], chance: Chance): number {
  return Math.floor(chance() * messages.length);
}

function put(messages: Buffer[], message: Buffer, chance: Chance): Buffer[] {
  return messages.toSpliced(Math.floor(chance() * (messages.length + 1)), 0, message);
}

function changed(messages: Buffer[], chance: Chance, change: (bytes: Buffer) => Buffer): Buffer[] {
  const at = place(messages, chance);
  return messages.with(at, change(Buffer.from(messages[at] ?? [])));
}

/** One of them is enough to tell a client that counts too little. */
export const mutations: Readonly<Record<string, Mutation>> = {
  none: (messages) => messages,
  dropped: (messages, chance) => messages.toSpliced(place(messages, chance), 1),
  doubled: (messages, chance) => {
    const at = place(messages, chance);
    return messages.toSpliced(at, 0, ...messages.slice(at, at + 1));
  },
  repeated: (messages, chance) => put(messages, choose(messages, chance), chance),
  moved: (messages, chance) => {
    const at = place(messages, chance);
    return put(messages.toSpliced(at, 1), choose(messages.slice(at, at + 1), chance), chance);
  },
  stray: (messages, chance) => put(messages, choose(strays, chance), chance),
  harmless: (messages, chance) => put(messages, choose(harmless, chance), chance),
  ended: (messages, chance) => messages.slice(0, place(messages, chance)),
  cutShort: (messages, chance) => {
    return changed(messages, chance, (bytes) =>
      bytes.subarray(0, Math.floor(chance() * bytes.length)),
    );
  },
  otherType: (messages, chance) => {
    return changed(messages, chance, (bytes) => {
      bytes[0] = choose([...Buffer.from('123tTnDCIEZNASGHWdcsRKvV?')], chance);
      return bytes;
    });
  },
  otherLength: (messages, chance) => {
    return changed(messages, chance, (bytes) => {
      const length = bytes.readUInt32BE(1);
      const wrong = [0, 3, 4, length - 1, length + 1, length + 20, 0x7fff_ffff, 0xffff_ffff];
      bytes.writeUInt32BE(choose(wrong, chance), 1);
      return bytes;
    });
  },
  otherByte: (messages, chance) => {
    return changed(messages, chance, (bytes) => {
      bytes[Math.floor(chance() * bytes.length)] = Math.floor(chance() * 256);
      return bytes;
    });
  },
  otherStatus: (messages, chance) => {
    const all = [...messages.keys()].filter((at) => messages[at]?.[0] === 'Z'.charCodeAt(0));
    return messages.with(choose(all, chance), said('Z', choose(['I', 'T', 'E'], chance)));
  },
};

/** Cut at up to 20 places, be they in the midst of a head. */
export function inPieces(bytes: Buffer, chance: Chance): Buffer[] {
  const many = Math.floor(chance() * 21);
  const cuts = Array.from({ length: many }, () => Math.floor(chance() * bytes.length));
  const ends = [...cuts.sort((one, other) => one - other), bytes.length];
  return ends.map((end, at) => bytes.subarray(ends[at - 1] ?? 0, end));
}
