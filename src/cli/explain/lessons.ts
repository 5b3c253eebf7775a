/**
 * Seven lessons about tenants. All replies, messages and plans in them are those of the command's own Kennel, at
 * the time of the tour.
 */
import { summed } from '../../control_plane/doctor/summed.ts';
import type { ExplainedCall, Explanation } from '../../explain/explanation.ts';
import { findingLines } from '../finding_lines.ts';
import { table } from '../table.ts';
import type { Received } from './client.ts';
import type { Comparison } from './comparison.ts';
import { findingWithout, withoutRowSecurity, withRowSecurity } from './doctor_lesson.ts';
import type { OwnKennel, OwnTenant, Pair } from './own_kennel.ts';
import { isPolicy, joined } from './terminal.ts';
import { type Lesson, screenWidth } from './tour.ts';

type Material = { kennel: OwnKennel; comparison: Comparison; zoo: OwnTenant; other: OwnTenant };

/** @param pairs the tenants of shared mode come first. */
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

async function naming({ kennel, zoo: { slug, apiKey }, other }: Material): Promise<Lesson> {
  const ways: [name: string, host: string, path: string, header: string | null][] = [
    [`Host: ${slug}.localhost`, `${slug}.localhost`, '', null],
    [`GET /${slug}/api/pets`, 'localhost', `/${slug}`, null],
    [`X-Tenant-ID: ${slug}`, 'localhost', '', slug],
    [`that host, and X-Tenant-ID: ${other.slug}`, `${slug}.localhost`, '', other.slug],
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
      ...prose(`A request names its tenant by host, path or header. If it uses more than one of them, they
        must agree. The API key in Authorization says which user it is, and must belong to the named tenant.
        ${slug} and ${other.slug} are two tenants; this is a key of ${slug}:`),
      '',
      ...table(['the request', 'the reply'], lines),
      '',
      ...prose(`The handler then gets a db that reaches the rows of this tenant alone. No handler chooses
        the tenant of a statement, or names it in its SQL.`),
      '',
      ...prose(`This is the stage "resolve"; each stage is one step of src/kernel/kernel.ts. All of them, in
        the three isolation modes (lessons 4 to 6):`),
    ],
    command: 'npm run --silent explain -- GET /api/me | less',
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
      ...prose(`With the valid key of ${other.slug} we ask for the pets of ${zoo.slug}, and for those of a
        tenant that does not exist:`),
      '',
      ...table(
        ['tenant', 'the reply'],
        [
          [zoo.slug, replyOf(foreign)],
          ['no-such-zoo', replyOf(unknown)],
        ],
      ),
      '',
      ...prose(`Apart from the request id, both bodies are ${same}. Before it replies, Kennel does the same
        work for both, so the time tells nothing either. No caller can find out which tenants exist. The
        operator can: the first attempt is in the audit trail, as cross_tenant_access_attempt.`),
      '',
      ...prose(`This is the stage "authorize". With --broken, explain also takes this stage off and sends the
        request again: Kennel then takes the stranger for the tenant. For each mode:`),
    ],
    command: `npm run --silent explain -- --broken | grep -A 4 "^another tenant's key[^:]*$"`,
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
        evenly. The tenant's plan says how many it holds (burst), and how many come back in an hour
        (requests_per_hour). Here both are 2:`),
      '',
      ...table(['the request', 'the reply', 'left', 'retry after (s)'], replies),
      '',
      ...prose(`The 404 took a token, too: the bucket comes before the route. The refused request took
        none. A busy tenant does not use up the tokens of others, nor the connections: it may have at most a
        quarter of those of the process.`),
      '',
      ...prose(`This is the stage "limit". The plan of acme-pets holds 100. Repeat the second command, and
        watch x-ratelimit-remaining:`),
    ],
    command: [
      `acme=$(node -p "require('./.data/demo.json')['acme-pets']")`,
      'curl -si -H "Authorization: Bearer $acme" \\',
      '  http://acme-pets.localhost:8080/api/pets | grep -i remaining',
    ].join('\n'),
  };
}

function sharedRows({ comparison }: Material): Lesson {
  const call = callOf(explanationOf(comparison, 0));
  return {
    title: 'Shared tables, and the policy',
    lines: [
      ...prose(`The rows of all tenants are in the same tables; tenant_id says whose each is. Row-level
        security adds a condition, the policy, to each statement. Kennel sends each in an envelope, one
        transaction, and makes the settings by set_config. If a superuser installed Kennel, kennel_app
        may not call it:`),
      ...envelopeLines(call),
      ...prose(`kennel.tenant is the tenant's id, a count of its moves (0) and a seal: a MAC for one connection,
        by a key that kennel_app cannot read. Text injected into SQL cannot make one. The policy compares
        tenant_id with kernel.tenant(), which checks the seal. On insert, the column's default fills
        tenant_id in. In the plan, kernel.tenant() is InitPlan 1:`),
      ...policyLines(call),
      ...prose(`Without a valid seal: error 42501 (no privilege), never an empty list. The price of this
        mode: one wrong policy would open the rows of all tenants.`),
    ],
    command: `npm run --silent explain -- --broken | grep -A 9 "^an injected[^:]*$"`,
  };
}

function schemas({ comparison }: Material): Lesson {
  return {
    title: 'A schema for each tenant',
    lines: [
      ...prose(`In schema mode a tenant has tables of its own, in a schema of its own. The envelope is the
        same, but search_path names that schema:`),
      ...envelopeLines(callOf(explanationOf(comparison, 1))),
      ...prose(`So "pets" means this tenant's table: a handler's SQL stays there even if the policy is wrong.
        SQL that names another tenant's schema gets there, because the role may use them all: only the seal
        and the policy stop it, as in shared mode. The gain: small tables and indexes. The price: each schema
        has to be migrated, and a connection that serves many of them needs more memory.`),
      '',
      ...prose('In your own Kennel (psql is in the package postgresql-client):'),
    ],
    command: [
      'npm run tenants -- create zoo --isolation schema',
      `npm run psql -- -c '\\dn t_*'`,
    ].join('\n'),
  };
}

function databases({ comparison }: Material): Lesson {
  const all = comparison.modes.map(({ explanation }) => explanation);
  const row = (name: string, value: (explanation: Explanation) => string) => [
    name,
    ...all.map((one) =>
      value(one)
        .replace(/^kennel_ex_[0-9a-f]+/, 'kennel')
        .replace(/t_[0-9a-f]+$/, 't_…'),
    ),
  ];
  return {
    title: 'A database for each tenant',
    lines: [
      ...prose(`In database mode a tenant has a database, and a login that may connect to no other. A
        connection serves one tenant and starts with its context, to which "reset all" returns, so no
        statement brings a context:`),
      ...envelopeLines(callOf(all[2])),
      ...prose(`Row-level security is a second barrier here. The price: 8 MB of disk and connections of its own
        for each tenant, whose first request waits for them.`),
      '',
      ...table(
        ['the three modes', ...comparison.modes.map(({ mode }) => mode)],
        [
          row('database', (one) => factOf(one, 'database')),
          row('schema', (one) => factOf(one, 'schema')),
          row('connects as (login)', (one) => factOf(one, 'login')),
          row('runs SQL as (role)', (one) => factOf(one, 'role')),
          row('gets the context', (one) => factOf(one, 'context').replace(' of a session', '')),
          ['stops others', 'the policy', 'search_path, policy', 'login, policy'],
        ],
      ),
    ],
    command: [
      'npm run tenants -- move zoo --to database',
      `npm run psql -- -c 'select datname, datacl from pg_database'`,
      'npm run tenants -- delete zoo --yes',
    ].join('\n'),
  };
}

async function doctor({ kennel }: Material): Promise<Lesson> {
  const lines = summed([await findingWithout(kennel)]).flatMap(findingLines);
  return {
    title: 'What the doctor would say if …',
    lines: [
      ...prose(`The doctor compares the catalog of each database with the files of sql/: roles, rights,
        policies, functions, versions. A server asks it only at its start, and does not start if tenants are
        not isolated. A running one goes on, and leaks. If the policies of the shared table of pets were
        off, the doctor would say:`),
      '',
      ...lines.map((line) => `  ${line.replaceAll(/kennel_ex_[0-9a-f]+/g, 'kennel')}`),
      '',
      ...prose(`Do it in your own Kennel, see the pets of all tenants by the key of lesson 3, and put it right
        with the last command:`),
    ],
    command: [
      `npm run psql -- -c '${withoutRowSecurity}'`,
      'npm run doctor',
      'curl -H "Authorization: Bearer $acme" http://localhost:8080/acme-pets/api/pets',
      `npm run psql -- -c '${withRowSecurity}'`,
    ].join('\n'),
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
