/** `npm run servers -- ACTION …`: the Postgres servers that tenants of database mode live on. */
import { text as readAll } from 'node:stream/consumers';
import { addServer } from '../control_plane/servers/add_server.ts';
import { type Drained, drainServer } from '../control_plane/servers/drain_server.ts';
import { countTenantsOn, loseServer, whyGone } from '../control_plane/servers/lose_server.ts';
import { removeServer } from '../control_plane/servers/remove_server.ts';
import { resumeServer } from '../control_plane/servers/resume_server.ts';
import { listServers, type ServerView } from '../control_plane/servers/server_list.ts';
import { inOneLine } from '../kernel/printable_text.ts';
import { mainServer } from '../kernel/tenant.ts';
import { connectionOptions } from '../postgres/connection_options.ts';
import { ConnectionUrlError, keywordsIn } from '../postgres/connection_url.ts';
import { assertTlsFiles } from '../postgres/tls.ts';
import { openServices, type Services } from '../services.ts';
import { assertNoMore, UsageError } from './arguments.ts';
import { print, printJson, runCommand, type Work } from './command.ts';
import { assertConfirmable, isConfirmed } from './confirm.ts';
import { withProgress } from './progress.ts';
import { table } from './table.ts';

const usage = `Usage: npm run servers -- list [--json]
       npm run servers -- add NAME URL [--json]     URL of an administrator; - reads it from stdin
       npm run servers -- drain NAME [--json]       moves its tenants to the other servers
       npm run servers -- resume NAME [--json]      places tenants on a drained server again
       npm run servers -- remove NAME [--json]
       npm run servers -- remove NAME --lost [--yes] [--json]   for one that never comes back; deletes its tenants`;

type Flags = { json: boolean; yes: boolean };

type Action = { words: readonly string[]; work(words: readonly string[], flags: Flags): Work };

const actions: Readonly<Record<string, Action>> = {
  list: {
    words: [],
    work:
      (_words, { json }) =>
      (services) =>
        list(services, json),
  },
  add: { words: ['NAME', 'URL'], work: ([name = '', url = ''], { json }) => add(name, url, json) },
  drain: { words: ['NAME'], work: ([name = ''], { json }) => drain(nameIn(name), json) },
  resume: {
    words: ['NAME'],
    work: ([name = ''], { json }) =>
      change(nameIn(name), { json, status: 'active', work: resumeServer }),
  },
  remove: {
    words: ['NAME'],
    work: ([name = ''], { json }) =>
      change(nameIn(name), { json, status: 'removed', work: removeServer }),
  },
};

/** The action of `remove` with `--lost`. */
const lost: Action = {
  words: ['NAME'],
  work: ([name = ''], flags) => lose(nameIn(name), flags),
};

await runCommand({
  open: openServices,
  usage,
  options: { json: { type: 'boolean' }, lost: { type: 'boolean' }, yes: { type: 'boolean' } },
  installs: ({ positionals: [action] }) => (action === 'list' ? 'never' : 'always'),
  parse: ({ positionals, values: { json = false, lost: isLost = false, yes = false } }) => {
    const [name = '', ...words] = positionals;
    const found = Object.hasOwn(actions, name) ? actions[name] : undefined;
    if (!found) {
      throw new UsageError(`Cannot do "${name}": use list, add, drain, resume or remove`);
    }
    if (isLost && name !== 'remove') throw new UsageError(`Cannot use --lost with "${name}"`);
    if (yes && !isLost) throw new UsageError('Cannot use --yes without --lost');
    const action = isLost ? lost : found;
    assertNoMore(words.slice(action.words.length));
    const missing = action.words[words.length];
    if (missing !== undefined) throw new UsageError(`Cannot ${name}: ${missing} is missing`);
    return action.work(words, { json, yes });
  },
});

/** @throws {UsageError} for a text that is no name of a server. */
function nameIn(text: string): string {
  if (/^[a-z][a-z0-9-]{0,39}$/.test(text)) return text;
  throw new UsageError(
    `Cannot use "${text}" as the name of a server: expected up to 40 of a-z, 0-9 and "-", a letter first`,
  );
}

async function list({ fleet }: Services, json: boolean): Promise<number> {
  const servers = await listServers(fleet);
  if (json) printJson(servers);
  else for (const line of tableOf(servers)) print(line);
  return 0;
}

function tableOf(servers: readonly ServerView[]): string[] {
  return table(
    ['name', 'status', 'tenants', 'reachable', 'url'],
    servers.map(({ name, status, tenants, reachable, url }) => [
      ...[name, status, `${tenants}`, reachable ? 'yes' : 'no', url],
    ]),
  );
}

function add(text: string, given: string, json: boolean): Work {
  const name = nameIn(text);
  if (name === mainServer) {
    throw new UsageError(`Cannot add "${name}": that is the server of DATABASE_URL`);
  }
  if (given !== '-') assertUrl(given);
  return async ({ fleet }) => {
    const url = given === '-' ? (await readAll(process.stdin)).trim() : given;
    assertUrl(url);
    await addServer(fleet, { name, url });
    return done(name, 'active', json);
  };
}

/** @throws {UsageError} that does not repeat the URL. */
function assertUrl(url: string): void {
  try {
    assertTlsFiles(connectionOptions(keywordsIn(url)).tls);
  } catch (error) {
    if (!(error instanceof ConnectionUrlError)) throw error;
    throw new UsageError(`Cannot use the URL: ${error.message}`);
  }
}

function change(
  name: string,
  {
    json,
    status,
    work,
  }: { json: boolean; status: string; work(fleet: Services['fleet'], name: string): Promise<void> },
): Work {
  return async ({ fleet }) => {
    await work(fleet, name);
    return done(name, status, json);
  };
}

function done(name: string, status: string, json: boolean): number {
  if (json) printJson({ name, status });
  else print(`${name} is ${status}`);
  return 0;
}

/** Exit code 1 when a tenant still lives there. */
function drain(name: string, json: boolean): Work {
  return async (services) => {
    const drained = await withProgress((onProgress) => drainServer(services, name, onProgress));
    if (json) printJson({ name, ...drained });
    else printDrained(name, drained);
    return drained.left === 0 ? 0 : 1;
  };
}

function printDrained(name: string, { moved, failed, left }: Drained): void {
  for (const { slug, error } of failed) print(`${slug} was not moved: ${inOneLine(error)}`);
  print(`${moved} tenants were moved from ${name}; ${left} are left`);
}

/**
 * Exit code 1 when a tenant could not be deleted.
 *
 * @throws {UsageError} without `--yes` when there is no terminal for the question.
 */
function lose(name: string, { json, yes }: Flags): Work {
  assertConfirmable(`give up the server "${name}"`, yes);
  return async (services) => {
    const reason = await whyGone(services.fleet, name);
    const tenants = await countTenantsOn(services, name);
    const question = `From this machine: "${reason}". This deletes the ${tenants} tenants of the server "${name}", whose rows are lost. Type its name to continue: `;
    if (!yes && !(await isConfirmed(question, name))) {
      throw new Error(`Cannot give up the server "${name}": it was not confirmed`);
    }
    const { deleted, failed, left } = await withProgress((onProgress) =>
      loseServer(services, name, onProgress),
    );
    const status = left === null ? 'removed' : 'lost';
    if (json) printJson({ name, status, deleted, failed, left });
    else {
      for (const { slug, trail_hash } of deleted)
        print(`${slug} was deleted; its trail ends with ${trail_hash}`);
      for (const { slug, error } of failed) print(`${slug} was not deleted: ${inOneLine(error)}`);
      print(left ?? `${name} is ${status}`);
    }
    return left === null ? 0 : 1;
  };
}
