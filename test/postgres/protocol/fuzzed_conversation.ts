/**
 * Callers that share a connection, and a server whose replies to them are mutated. Each caller's
 * rows carry its marker, so a row that reaches the wrong caller is detected.
 */
import { once } from 'node:events';
import { connect, type Server, type Socket } from 'node:net';
import { setTimeout as pause, setImmediate } from 'node:timers/promises';
import { bind, execute, query, sync } from '../../../src/postgres/protocol/messages.ts';
import type { GroupResult, SyncGroup } from '../../../src/postgres/protocol/pending_group.ts';
import type { Pipeline } from '../../../src/postgres/protocol/pipeline.ts';
import { choose, seededRandom } from '../../support/random.ts';
import { FakeBackend, failing } from './fake_backend.ts';
import { inPieces, mutations } from './mutations.ts';

/**
 * Sends groups on a socket, and returns null for each that is not answered when the connection
 * ends.
 */
type Client = Pick<Pipeline, 'send'>;

/** A listening server, its address, and the client under test. */
export type FuzzedServer = {
  listener: Server;
  path: string;
  openClient: (socket: Socket) => Client;
};

/** A group, and how many rows a good answer has; null when there must be no answer. */
type ExpectedGroup = { group: SyncGroup; marker: string; rows: number | null };

type Random = () => number;

const callers = ['alice', 'bob', 'carol', 'dave'];

/** The longest time of a conversation: far more than it takes on a busy machine. */
const limitMs = 20_000;

const texts = ['select a ', 'select b ', 'select c '].map(frozen);
const failingText = frozen(`${failing} `);

function frozen(first: string): TemplateStringsArray {
  return Object.freeze(Object.assign([first, ''], { raw: [first, ''] }));
}

/**
 * One honest turn, so that statements are prepared, and one whose replies are mutated.
 *
 * @returns the errors in the answers, in words.
 */
export async function converse(server: FuzzedServer, seed: number): Promise<string[]> {
  const random = seededRandom(seed);
  const [name, mutate] = choose(Object.entries(mutations), random);
  const accepted = once(server.listener, 'connection');
  const client = server.openClient(connect(server.path));
  const [socket]: Socket[] = await accepted;
  if (!socket) throw new Error('Cannot converse: there is no connection');
  socket.on('error', () => {});
  const backend = new FakeBackend(socket);
  const turn = async (groups: ExpectedGroup[], change: (replies: Buffer[]) => Buffer[]) => {
    const judged = groups.map((group) => judge(client, group));
    await say(socket, change(await backend.repliesTo(groups.length)));
    return judged;
  };
  const honest = await Promise.all(await turn(groupsOf('erin', random), (replies) => replies));
  const fuzzed = callers.flatMap((marker) => groupsOf(marker, random));
  const judged = await turn(fuzzed, (replies) => {
    return inPieces(Buffer.concat(mutate(replies, random)), random);
  });
  socket.end();
  const wrong = [...honest, ...(await Promise.all(judged))].filter((what) => what !== null);
  return wrong.map((what) => `${what} (${name}, seed ${seed})`);
}

async function say(socket: Socket, pieces: readonly Buffer[]): Promise<void> {
  for (const piece of pieces) {
    if (socket.destroyed) return;
    socket.write(piece);
    await setImmediate();
  }
}

/**
 * The groups of one caller: a statement, one in an envelope, one that fails in it, a transaction.
 */
function groupsOf(marker: string, random: Random): ExpectedGroup[] {
  const statement = { schema: '', text: choose(texts, random), values: [marker] };
  const before = run('context', marker, marker, marker);
  const envelope = {
    before,
    statementsBefore: 1,
    after: Buffer.concat([execute, run('reset'), sync]),
  };
  const plain = { group: { statement, after: Buffer.concat([execute, sync]) }, marker, rows: 1 };
  const failed = { ...envelope, statement: { ...statement, text: failingText } };
  const own = (text: string, statusAfter: 'I' | 'T') => {
    return { group: { after: query(text), statusAfter }, marker, rows: 0 };
  };
  return choose<ExpectedGroup[]>(
    [
      [plain],
      [{ group: { ...envelope, statement }, marker, rows: 1 }],
      [{ group: failed, marker, rows: null }],
      [own('begin', 'T'), plain, own('commit', 'I')],
    ],
    random,
  );
}

function run(name: string, ...values: string[]): Buffer {
  return Buffer.concat([bind(name, values), execute]);
}

/** Null when the answer is right, or there is none. */
async function judge(
  client: Client,
  { group, marker, rows }: ExpectedGroup,
): Promise<string | null> {
  const late = pause(limitMs, undefined, { ref: false });
  const answered = new Promise<GroupResult | null>((resolve) => client.send(group, resolve));
  const answer = await Promise.race([answered, late]);
  if (answer === undefined) return `${marker} waits for ever`;
  if (answer === null || answer.error || answer.protocolError) return null;
  const told = JSON.stringify(answer.rows);
  const other = [...callers, 'erin', 'stray'].find(
    (name) => name !== marker && told.includes(name),
  );
  if (other) return `${marker} has a row of ${other}`;
  return answer.rows.length === rows ? null : `${marker} has ${told}, not ${rows} rows`;
}
