/**
 * Seven lessons about tenants, one screen each. All replies, messages and plans in them are those of the
 * command's own Kennel, at the time of the tour.
 */
import { createInterface } from 'node:readline';
import type { ExplainedCall, Explanation } from '../../explain/explanation.ts';
import { print } from '../command.ts';
import { table } from '../table.ts';
import type { Received } from './client.ts';
import type { Comparison } from './comparison.ts';
import { findingWithout } from './doctor_lesson.ts';
import type { OwnKennel, OwnTenant, Pair } from './own_kennel.ts';
import { isPolicy, joined, wrapped } from './terminal.ts';

export type Lesson = { title: string; lines: string[]; command: string };

const screenWidth = 78;

type Material = { kennel: OwnKennel; comparison: Comparison; zoo: OwnTenant; other: OwnTenant };

export async function lessonsOf(
  kennel: OwnKennel,
  comparison: Comparison,
  [pair]: readonly Pair[],
): Promise<Lesson[]> {
  if (!pair) throw new Error('Cannot give lessons: there are no tenants');
  const material = { kennel, comparison, zoo: pair.tenant, other: pair.other };
  return [
    await naming(material),
    await strangers(material),
    await bucket(material),
    sharedRows(material),
    schemas(material),
    databases(material),
    await doctor(material),
  ];
}

/** Returns each lesson as a screen of at most 24 lines of 80 characters. */
export function screens(lessons: readonly Lesson[]): string[] {
  return lessons.map(({ title, lines, command }, at) =>
    [
      `${at + 1}/${lessons.length}  ${title}`,
      '─'.repeat(screenWidth),
      ...lines.flatMap((line) => wrapped(line, screenWidth)),
      '',
      'Try:',
      ...command.split('\n').map((line) => `  ${line}`),
    ].join('\n'),
  );
}

/** Shows screen by screen. Without a terminal it prints all of them. */
export async function show(all: readonly string[]): Promise<void> {
  const { stdin, stdout } = process;
  const terminal = stdin.isTTY && stdout.isTTY ? createInterface({ input: stdin }) : null;
  const lines = terminal?.[Symbol.asyncIterator]();
  for (const [at, screen] of all.entries()) {
    print(`${screen}\n`);
    if (!lines || at === all.length - 1) continue;
    print('Enter shows the next lesson.');
    // Ctrl-C and Ctrl-D end the tour.
    if ((await lines.next()).done) break;
  }
  terminal?.close();
}

async function naming({ kennel, zoo: { slug, apiKey } }: Material): Promise<Lesson> {
  const ways: [name: string, host: string, path: string, header: string | null][] = [
    [`Host: ${slug}.localhost`, `${slug}.localhost`, '', null],
    [`GET /${slug}/api/pets`, 'localhost', `/${slug}`, null],
    [`X-Tenant-ID: ${slug}`, 'localhost', '', slug],
    [`Host: ${slug}.localhost and X-Tenant-ID: zoo`, `${slug}.localhost`, '', 'zoo'],
    ['no name at all', 'localhost', '', null],
  ];
  const lines: string[][] = [];
  for (const [name, host, prefix, header] of ways) {
    const headers = { host, ...(header === null ? {} : { 'x-tenant-id': header }) };
    const sent = { method: 'GET', path: `${prefix}/api/pets`, headers };
    lines.push([name, replyOf(await kennel.send(slug, apiKey, sent))]);
  }
  return {
    title: 'Naming a tenant',
    lines: [
      ...prose(`A request names its tenant by host, path or header. All that do so must agree. The API key
        in Authorization says which user it is, and must belong to the named tenant. No handler sees the
        name or the id of a tenant: it gets a db that is one tenant's already.`),
      '',
      ...table(['the request', 'the reply'], lines),
      '',
      'This is the stage "resolve". Each stage is one step of src/kernel/kernel.ts.',
    ],
    command: 'npm run explain -- GET /api/me',
  };
}

async function strangers({ kennel, zoo, other }: Material): Promise<Lesson> {
  const sent = { method: 'GET', path: '/api/pets' };
  const foreign = await kennel.send(zoo.slug, other.apiKey, sent);
  const unknown = await kennel.send('no-such-zoo', other.apiKey, sent);
  const without = ({ text, requestId }: Received) => text.replace(requestId, '…');
  const same = without(foreign) === without(unknown) ? 'the same' : 'NOT the same';
  return {
    title: '404 for strangers',
    lines: [
      `${other.slug} has a valid key, and asks for the pets of two others:`,
      '',
      ...table(
        ['tenant', 'the reply'],
        [
          [`${zoo.slug} (exists)`, replyOf(foreign)],
          ['no-such-zoo (does not)', replyOf(unknown)],
        ],
      ),
      '',
      ...prose(`Apart from the request id, both bodies are ${same}. They also take the same steps, so no
        caller can find out which tenants exist. The operator sees the first one in the audit trail, as
        cross_tenant_access_attempt.`),
      '',
      ...prose(
        'This is the stage "authorize". The command below takes it off, and shows the leak.',
      ),
    ],
    command: 'npm run explain -- --broken',
  };
}

async function bucket({ kennel }: Material): Promise<Lesson> {
  const { slug, apiKey } = await kennel.onboardOnSmallPlan();
  const replies: string[][] = [];
  for (const path of ['/api/pets', '/api/none', '/api/pets']) {
    const reply = await kennel.send(slug, apiKey, { method: 'GET', path });
    const left = String(reply.headers['x-ratelimit-remaining']);
    const retry = String(reply.headers['retry-after'] ?? '');
    replies.push([`GET ${path}`, replyOf(reply), left, retry]);
  }
  return {
    title: 'The bucket',
    lines: [
      ...prose(`Each tenant has a bucket of tokens. It starts full, each request takes one, and it refills
        evenly. Here is the bucket of a plan with 2 requests per hour:`),
      '',
      ...table(['the request', 'the reply', 'left', 'retry after (s)'], replies),
      '',
      ...prose(`The 404 took a token, too: the bucket comes before the route. The refused request took
        none. A busy tenant does not use up the tokens of another, nor its connections: each tenant may
        use a quarter of them.`),
      '',
      ...prose(
        'This is the stage "limit". Watch a bucket while "make start" runs in another terminal:',
      ),
    ],
    command: [
      `acme=$(node -p "require('./.data/demo.json')['acme-pets']")`,
      'curl -si -H "Authorization: Bearer $acme" \\',
      '  http://acme-pets.localhost:8080/api/pets | grep -i ratelimit',
    ].join('\n'),
  };
}

function sharedRows({ comparison }: Material): Lesson {
  const call = callOf(explanationOf(comparison, 0));
  return {
    title: 'Shared tables, and the policy',
    lines: [
      ...prose(`In shared mode the rows of all tenants are in the same tables. Each statement is sent in an
        envelope, which is one transaction:`),
      '',
      ...envelopeLines(call),
      '',
      ...prose(`kennel.tenant is the id with a seal, which only Kennel can make, and which is valid on one
        connection. The handler wrote no tenant_id. The database adds it, as the policy of the table; in
        the plan it is compared with InitPlan 1, the result of kernel.tenant():`),
      '',
      ...policyLines(call),
      '',
      ...prose(
        'Without a valid seal the statement fails with 42501. It never shows an empty list.',
      ),
    ],
    command: `npm run explain -- POST /api/pets '{"name": "Rex", "species": "dog"}'`,
  };
}

function schemas({ comparison }: Material): Lesson {
  return {
    title: 'A schema for each tenant',
    lines: [
      ...prose(`In schema mode a tenant has tables of its own, in a schema of its own. The envelope is the
        same, but search_path names that schema:`),
      '',
      ...envelopeLines(callOf(explanationOf(comparison, 1))),
      '',
      ...prose(`So the statement does not even find the tables of others. Seal and policy are there, too:
        a second lock on the same door. The price: each schema is migrated by itself.`),
    ],
    command: 'npm run tenants -- create zoo --isolation schema',
  };
}

function databases({ comparison }: Material): Lesson {
  const all = comparison.modes.map(({ explanation }) => explanation);
  const row = (name: string, value: (explanation: Explanation) => string) => [
    name,
    ...all.map((one) =>
      value(one)
        .replace(/_t_[0-9a-f]+$/, '_t_…')
        .replace(/^t_[0-9a-f]+$/, 't_…'),
    ),
  ];
  const messages = (one: Explanation) => String(callOf(one)?.groups[0]?.messages.length ?? 0);
  return {
    title: 'A database for each tenant',
    lines: [
      ...prose(`In database mode a tenant has a database, and a login that may connect to no other. A
        session serves one tenant alone and begins with its context, so none is sent with a statement:`),
      '',
      ...envelopeLines(callOf(all[2])),
      '',
      'How to tell the three modes apart:',
      '',
      ...table(
        ['', ...comparison.modes.map(({ mode }) => mode)],
        [
          row('database', (one) => factOf(one, 'database')),
          row('schema', (one) => factOf(one, 'schema')),
          row('login', (one) => factOf(one, 'login')),
          row('context', (one) => factOf(one, 'context')),
          row('messages', messages),
        ],
      ),
    ],
    command: 'npm run tenants -- move zoo --to database',
  };
}

async function doctor({ kennel }: Material): Promise<Lesson> {
  const { check, what, fix } = await findingWithout(kennel);
  return {
    title: 'What the doctor would say if …',
    lines: [
      ...prose('… row security of a table that all shared tenants use were switched off:'),
      '',
      '    alter table shared.pets disable row level security',
      '',
      `error ${check}:`,
      `    ${what}`,
      `    fix: ${fix}`,
      '',
      ...prose(`The doctor compares the catalog of every database with the files of sql/: roles, rights,
        policies, functions, versions. A server runs the same checks at its start, and does not start on a
        database that does not isolate tenants.`),
    ],
    command: 'npm run doctor',
  };
}

/** Breaks a paragraph into lines. */
function prose(text: string): string[] {
  const lines = [''];
  for (const word of text.trim().split(/\s+/)) {
    const last = lines.at(-1) ?? '';
    if (last.length + word.length >= screenWidth) lines.push(word);
    else lines.splice(-1, 1, `${last} ${word}`.trim());
  }
  return lines;
}

function replyOf({ status, text }: Received): string {
  const { code = '' } = text === '' ? {} : JSON.parse(text);
  return `${status} ${code}`.trim();
}

function explanationOf({ modes }: Comparison, at: number): Explanation {
  const { explanation } = modes[at] ?? {};
  if (explanation) return explanation;
  throw new Error('Cannot show a lesson: its mode is missing');
}

function factOf({ stages }: Explanation, name: string): string {
  return String(stages.find(({ stage }) => stage === 'execute')?.decided[name] ?? '');
}

function callOf(explanation: Explanation | undefined): ExplainedCall | undefined {
  return explanation?.stages.find(({ stage }) => stage === 'execute')?.calls[0];
}

/** One line for each statement, with the parameters of the context. */
function envelopeLines(call: ExplainedCall | undefined): string[] {
  const messages = joined(call?.groups[0]?.messages ?? []);
  return messages.flatMap(({ statement, sql, parameters = [] }) => {
    if (sql === undefined) return [];
    if (statement !== 'context') return [`    ${cut(sql.replaceAll(/\s+/g, ' ').trim())}`];
    return parameters.map(({ name, value }) => `    set ${name} = ${value}`);
  });
}

function policyLines(call: ExplainedCall | undefined): string[] {
  const lines = call?.plan?.filter(isPolicy) ?? [];
  return lines.map((line) => `  ▶ ${cut(line.trim())}`);
}

function cut(line: string): string {
  return line.length > 70 ? `${line.slice(0, 70)}…` : line;
}
