/**
 * Four readers who want the rows of a tenant that is not theirs. Each is refused. With `broken`, the layer
 * that refused it is taken off and the request is sent again, until it reaches a foreign row, or until no
 * layer is left: then the row is not there at all.
 */
import type { Guard } from './careless.ts';
import type { Sent } from './client.ts';
import type { OwnKennel, OwnTenant, Pair } from './own_kennel.ts';

export type ReadAttempt = {
  /** The layers that are off. */
  without: string[];
  /** The stage that has refused the request, or else the last one. */
  stage: string;
  /** The layer that has stopped it; null if none has. */
  stopped_by: string | null;
  status: number;
  /** The code of the refusal, with the error of Postgres, if that was the cause. */
  reason: string;
  /** Whether it has reached a row of the other tenant. */
  reached: boolean;
};

export type Reader = { reader: string; attempts: ReadAttempt[] };

/** What stops a reader when no other layer is left. */
const elsewhere = 'the row is in another database';

/** Says what each reader does. */
export const legend = `another tenant's key: the same request with a key that is valid for another tenant. With authorize off Kennel
itself would open the rows, in every mode.
no key: the same request without one.
an injected set_config: another handler, which pastes text of the client into its SQL; the text sets the context of
the tenant whose rows it wants.
a handler without context: another handler, which sends SQL outside of its envelope.`;

/** Where the statements of a foreign request run: in its own session, on the other tenant's tables. */
type Surroundings = {
  database: string;
  schema: string;
  login: string;
  role: string;
  /** Only a superuser can revoke this right from PUBLIC, so it is not a layer where the administrator is none. */
  maySet: boolean;
};

/** A guard of the kernel, or what the administrator changes to take a layer off, and to restore it. */
type Layer = {
  name: string;
  guard?: Guard;
  off?(place: Surroundings): string;
  on?(place: Surroundings): string;
};

type Foreigner = {
  reader: string;
  /** The tenant that the request names, and the key that it brings. */
  names: 'tenant' | 'other';
  key: 'other' | null;
  layers(place: Surroundings): Layer[];
  request(sent: Sent, pair: Pair, place: Surroundings): Sent;
};

const rights: Layer = {
  name: 'no right to change settings',
  off: () => 'grant execute on function set_config(text, text, boolean) to public',
  on: () => 'revoke execute on function set_config(text, text, boolean) from public',
};

/** The original function is restored from its text. */
const seal: Layer = {
  name: 'the seal',
  off: () => `
    create or replace function kernel.tenant() returns uuid language sql stable
    return nullif(split_part(current_setting('kennel.tenant', true), '.', 1), '')::uuid`,
};

const bareLogin: Layer = {
  name: 'no rights of the login',
  off: ({ schema, login }) => `
    grant usage on schema "${schema}", kernel to "${login}";
    grant execute on function kernel.tenant() to "${login}";
    grant select on "${schema}".pets to "${login}"`,
};

const rowSecurity: Layer = {
  name: 'row security',
  off: ({ schema }) => `alter table "${schema}".pets disable row level security`,
  on: ({ schema }) => `alter table "${schema}".pets enable row level security`,
};

const foreigners: readonly Foreigner[] = [
  {
    reader: "another tenant's key",
    names: 'tenant',
    key: 'other',
    layers: () => [{ name: 'authorize', guard: 'authorize' }],
    request: (sent) => sent,
  },
  {
    reader: 'no key',
    names: 'tenant',
    key: null,
    layers: () => [{ name: 'authenticate', guard: 'authenticate' }],
    request: (sent) => sent,
  },
  {
    reader: 'an injected set_config',
    names: 'other',
    key: 'other',
    layers: ({ maySet }) => (maySet ? [seal] : [rights, seal]),
    request: (_sent, { tenant }, { schema }) => {
      const context = `${tenant.id}.0.${'0'.repeat(64)}`;
      const text = `x' union all select '', set_config('kennel.tenant', '${context}', true)
        union all select id::text, name from "${schema}".pets --`;
      return { method: 'POST', path: '/api/careless/search', body: JSON.stringify({ text }) };
    },
  },
  {
    reader: 'a handler without context',
    names: 'other',
    key: 'other',
    // In a tenant's own database the login is the role of the statements.
    layers: ({ login, role }) => (login === role ? [rowSecurity] : [bareLogin, rowSecurity]),
    request: (_sent, _pair, { schema }) => {
      return { method: 'POST', path: '/api/careless/all', body: JSON.stringify({ schema }) };
    },
  },
];

export async function foreignReaders(
  kennel: OwnKennel,
  pair: Pair,
  { sent, broken }: { sent: () => Promise<Sent>; broken: boolean },
): Promise<Reader[]> {
  const { schema } = await surroundingsOf(kennel, pair.tenant);
  const other = await surroundingsOf(kennel, pair.other);
  const place = { ...other, schema, maySet: await maySet(kennel, other) };
  const readers: Reader[] = [];
  for (const foreigner of foreigners) {
    const layers = foreigner.layers(place);
    const attempt = async (off: number) => {
      const request = foreigner.request(await sent(), pair, place);
      return attemptOf(kennel, pair, { foreigner, request, layers, off });
    };
    const attempts = [await attempt(0)];
    if (broken) attempts.push(...(await takenOff(kennel, { layers, place, attempt })));
    readers.push({ reader: foreigner.reader, attempts });
  }
  return readers;
}

type Peeling = {
  layers: readonly Layer[];
  place: Surroundings;
  /** @param off the number of layers that are off. */
  attempt(off: number): Promise<ReadAttempt>;
};

/** Takes off one layer after the other, with an attempt after each, and restores all of them. */
function takenOff(kennel: OwnKennel, { layers, place, attempt }: Peeling): Promise<ReadAttempt[]> {
  return kennel.asAdmin(place.database, async (admin) => {
    const [original] = await admin.plain<{ text: string }>`
      select pg_get_functiondef('kernel.tenant()'::regprocedure) as text`;
    const attempts: ReadAttempt[] = [];
    try {
      for (const [at, { guard, off }] of layers.entries()) {
        if (guard) kennel.careless.off.add(guard);
        if (off) await admin.script(off(place));
        attempts.push(await attempt(at + 1));
      }
      return attempts;
    } finally {
      kennel.careless.off.clear();
      for (const { on } of layers) if (on) await admin.script(on(place));
      await admin.script(original?.text ?? '');
    }
  });
}

type AttemptParts = {
  foreigner: Foreigner;
  request: Sent;
  layers: readonly Layer[];
  off: number;
};

async function attemptOf(
  kennel: OwnKennel,
  { tenant, petId, other }: Pair,
  { foreigner: { names, key }, request, layers, off }: AttemptParts,
): Promise<ReadAttempt> {
  const { slug } = names === 'tenant' ? tenant : other;
  kennel.careless.message = null;
  const { explanation, text } = await kennel.explain(slug, key && other.apiKey, request);
  const { status, stages } = explanation;
  const refusing = stages.find(({ refused }) => refused !== null);
  const errorText = kennel.careless.message ?? '';
  const reason = [refusing?.refused ?? '', errorText].filter((part) => part !== '').join(': ');
  const reached = status < 400 && (names === 'tenant' || text.includes(petId));
  return {
    without: layers.slice(0, off).map(({ name }) => name),
    stage: (refusing ?? stages.at(-1))?.stage ?? '',
    status,
    reason: refusing || reached ? reason : 'its own rows alone',
    stopped_by: reached ? null : (layers[off]?.name ?? elsewhere),
    reached,
  };
}

async function maySet(kennel: OwnKennel, { database, role }: Omit<Surroundings, 'maySet'>) {
  const [right] = await kennel.asAdmin(
    database,
    (admin) => admin.plain<{ may: boolean }>`
      select has_function_privilege(${role}, 'set_config(text, text, boolean)', 'execute') as may`,
  );
  return right?.may ?? true;
}

async function surroundingsOf(
  kennel: OwnKennel,
  { slug, apiKey }: OwnTenant,
): Promise<Omit<Surroundings, 'maySet'>> {
  const sent = { method: 'GET', path: '/api/pets' };
  const { explanation } = await kennel.explain(slug, apiKey, sent);
  const { decided = {} } = explanation.stages.find(({ stage }) => stage === 'execute') ?? {};
  const fact = (name: string) => String(decided[name]);
  return {
    database: fact('database'),
    schema: fact('schema'),
    login: fact('login'),
    role: fact('role'),
  };
}
