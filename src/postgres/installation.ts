/**
 * One Kennel: its servers, the names of its roles, schemas and databases, and the passwords and seal keys
 * that are derived from its secrets. Roles belong to a whole server, so their names contain the main
 * database's name: two installations on one server have no role in common.
 */
import { createHash, createHmac } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { unavailable } from '../kernel/errors.ts';
import { mainServer } from '../kernel/tenant.ts';
import { connectionOptions } from './connection_options.ts';
import { type Keywords, keywordsIn, urlOf } from './connection_url.ts';
import type { DatabasePlace, DedicatedPlacement, Placement } from './placement.ts';
import { type ContextOf, dedicatedContext, neverFenced } from './seal.ts';
import { type OwnSettings, type SessionUrl, sessionUrlOf } from './session_url.ts';

/** Schemas of the main database. A tenant's own database has `kernel` and `tenant`. */
export const schemas = {
  kernel: 'kernel',
  control: 'control',
  shared: 'shared',
  tenant: 'tenant',
} as const;

/** The secrets that seal keys are derived from. During a rotation the database accepts both. */
export type SealSecrets = { current: Buffer; other: Buffer | null };

/** 32 random bytes each, stored in the control schema, where only the owner can read them. */
export type Secrets = { installation: Buffer; seals: SealSecrets };

/** The servers besides the main one, by name: the administrator's URL, and whether the server never comes back. */
export type AddedServers = ReadonlyMap<string, { url: string; isLost: boolean }>;

export type Roles = {
  /** Owns every schema and table, and cannot log in. */
  owner: string;
  /** May use only tenants' tables. */
  app: string;
  /** May use one tenant's rows of the control schema. */
  account: string;
  /** The login of tenants' connections; may only become `app` or `account`. */
  serve: string;
  /** The login of the directory and the operator. */
  control: string;
  /** The login of migrations; may only become `owner`. */
  migrate: string;
};

/**
 * One Kennel: the names of its databases and roles, and all passwords, seal keys and session URLs. They are derived
 * from its secrets and the administrator's URLs.
 */
export class Installation {
  readonly adminUrl: string;
  /** The main database, with the control schema. */
  readonly main: DatabasePlace;
  readonly database: string;
  readonly roles: Roles;
  /** The session URL of the directory and the operator. */
  readonly controlUrl: SessionUrl;
  /** The session URL of tenants' statements in the main database. */
  readonly servingUrl: SessionUrl;
  /** The administrator's URL of each server, as keywords. */
  readonly #servers: Map<string, Keywords>;
  readonly #secret: Buffer;
  readonly #placements: LRUCache<string, Placement>;
  readonly #dedicated: LRUCache<string, DedicatedPlacement>;
  #seals: SealSecrets;
  #lost: ReadonlySet<string> = new Set();
  #learning: Promise<void> = Promise.resolve();

  /** @param maxPlacements the most of each kind that are cached; to derive one takes a few HMACs. */
  constructor(adminUrl: string, { installation, seals }: Secrets, maxPlacements: number) {
    this.adminUrl = adminUrl;
    this.#servers = new Map([[mainServer, keywordsIn(adminUrl)]]);
    this.database = databaseOf(adminUrl);
    this.main = { server: mainServer, database: this.database };
    this.roles = rolesOf(this.database);
    this.#secret = installation;
    this.#seals = seals;
    this.#placements = new LRUCache({ max: maxPlacements });
    this.#dedicated = new LRUCache({ max: maxPlacements });
    this.controlUrl = this.#urlOf(this.main, this.roles.control);
    this.servingUrl = this.#urlOf(this.main, this.roles.serve);
  }

  /** The placement of every tenant's account: its rows of the control schema. */
  get account(): Placement {
    return this.placement(schemas.control, {
      role: this.roles.account,
      generation: neverFenced,
    });
  }

  /** Returns the placement of a schema that the serving login uses, each statement in its tenant's context. */
  placement(
    schema: string,
    {
      database = this.database,
      role = this.roles.app,
      generation = 0,
    }: { database?: string; role?: string; generation?: number } = {},
  ): Placement {
    return cached(this.#placements, `${database} ${schema} ${generation}`, () => ({
      context: 'statement',
      url: this.#urlOf({ server: mainServer, database }, this.roles.serve),
      server: mainServer,
      database,
      login: this.roles.serve,
      schema,
      role,
      sealKey: sealKeyOf(this.#seals.current, database),
      generation,
    }));
  }

  /**
   * Returns the placement of one tenant in a database with a login of the same name.
   *
   * @throws {Refusal} `unavailable` when this process does not know the server.
   */
  dedicatedPlacement(
    name: string,
    { server, tenant, generation }: ContextOf & { server: string },
  ): DedicatedPlacement {
    return cached(this.#dedicated, `${server} ${name} ${generation}`, () => {
      const database = this.databaseNamed(name);
      const sealKey = sealKeyOf(this.#seals.current, database);
      return {
        context: 'session',
        tenant,
        url: this.#urlOf({ server, database }, database, {
          search_path: `"${schemas.tenant}"`,
          'kennel.tenant': dedicatedContext(sealKey, { tenant, generation }),
        }),
        server,
        database,
        login: database,
        schema: schemas.tenant,
        role: database,
        sealKey,
        generation,
      };
    });
  }

  /** Returns the name of a further database: at most 63 bytes for a `name` of at most 42. */
  databaseNamed(name: string): string {
    return `${shorten(this.database, 20)}_${name}`;
  }

  /** Makes seals from these secrets from now on. @returns whether they have changed. */
  useSeals(seals: SealSecrets): boolean {
    const changed = !seals.current.equals(this.#seals.current);
    this.#seals = seals;
    if (changed) for (const cache of [this.#placements, this.#dedicated]) cache.clear();
    return changed;
  }

  /**
   * Reads the servers and uses them. One read at a time: the answer of an older one never replaces that of a
   * newer one.
   */
  learnServers(read: () => Promise<AddedServers>): Promise<void> {
    const learn = async () => this.useServers(await read());
    this.#learning = this.#learning.then(learn, learn);
    return this.#learning;
  }

  /** Knows these added servers from now on, and no others. */
  useServers(added: AddedServers): void {
    this.#lost = new Set([...added].flatMap(([name, { isLost }]) => (isLost ? [name] : [])));
    let changed = false;
    for (const name of this.addedServers) {
      if (!added.has(name)) changed = this.#servers.delete(name);
    }
    for (const [name, { url }] of added) {
      const known = this.#servers.get(name);
      const keywords = keywordsIn(url);
      if (known && urlOf(known) === urlOf(keywords)) continue;
      this.#servers.set(name, keywords);
      changed = true;
    }
    if (changed) this.#dedicated.clear();
  }

  /** The names of the servers besides the main one. */
  get addedServers(): string[] {
    return [...this.#servers.keys()].filter((name) => name !== mainServer);
  }

  /** Whether a server never comes back: then there is nothing to do on it. */
  isLost(server: string): boolean {
    return this.#lost.has(server);
  }

  /** Returns the database that the administrator's URL of a server names: others are made from there. */
  homeOf(server: string): DatabasePlace {
    const { database } = connectionOptions(this.#keywordsOf(server));
    return { server, database };
  }

  /** Returns the administrator's session URL in a database. */
  adminUrlOf({ server, database }: DatabasePlace): SessionUrl {
    return sessionUrlOf({ ...this.#keywordsOf(server), dbname: database }, { server });
  }

  /** Returns the session URL of migrations, and of all statements that may run triggers from them, in a database. */
  migrationUrlOf(place: DatabasePlace): SessionUrl {
    return this.#urlOf(place, this.roles.migrate);
  }

  /** Returns the password of a login. One server does not learn those of another. */
  password(role: string, server = mainServer): string {
    const where = server === mainServer ? '' : `${server}:`;
    return this.#derive(`login:${where}${role}`).toString('hex');
  }

  /**
   * Returns the secret of a tenant's first API key. It is derived and not random, so a repeated onboarding
   * request returns the same key, although no copy of it is stored.
   */
  firstKeySecret(keyId: string): Buffer {
    return this.#derive(`api-key:${keyId}`);
  }

  /** Returns the secret of one Idempotency-Key. The key is part of the purpose; only its client stores it. */
  idempotencySecret(purpose: string): Buffer {
    return this.#derive(`idempotency:${purpose}`);
  }

  /** Returns the key that hides the positions of events in cursors. */
  cursorKey(): Buffer {
    return this.#derive('audit-cursor');
  }

  /** Returns an id of this installation, for the names of its data outside the database. */
  mark(): string {
    return this.#derive('mark').toString('hex').slice(0, 16);
  }

  /** @param settings at the start of the session, which `reset all` restores. */
  #urlOf({ server, database }: DatabasePlace, login: string, settings?: OwnSettings): SessionUrl {
    const password = this.password(login, server);
    const keywords = { ...this.#keywordsOf(server), dbname: database, user: login, password };
    return sessionUrlOf(keywords, { server, ...(settings && { settings }) });
  }

  #keywordsOf(server: string): Keywords {
    const keywords = this.#servers.get(server);
    if (keywords) return keywords;
    // Clients do not learn the name of the server.
    const cause = new Error(`this process does not know the server "${server}" yet`);
    throw unavailable('The database is not available; try again later', cause);
  }

  #derive(purpose: string): Buffer {
    return derive(this.#secret, purpose);
  }
}

function cached<Value extends object>(
  cache: LRUCache<string, Value>,
  key: string,
  make: () => Value,
): Value {
  const known = cache.get(key);
  if (known) return known;
  const made = make();
  cache.set(key, made);
  return made;
}

/** Returns the seal key of a database. A seal of one database is invalid in any other. */
export function sealKeyOf(secret: Buffer, database: string): Buffer {
  return derive(secret, `seal:${database}`);
}

/**
 * Returns the role names of the installation in a database: `kennel_app` for the database `kennel`. If the
 * database's name does not begin with `kennel`, they contain a digest: `shop` must not share roles with
 * `kennel_shop`.
 */
export function rolesOf(database: string): Roles {
  const name = shorten(database, 36);
  const prefix = name.startsWith('kennel') ? name : `kennel_${name}_${digestOf(database)}`;
  return {
    owner: `${prefix}_owner`,
    app: `${prefix}_app`,
    account: `${prefix}_account`,
    serve: `${prefix}_serve`,
    control: `${prefix}_control`,
    migrate: `${prefix}_migrate`,
  };
}

/** Returns the database of a URL. @throws {ConnectionUrlError} when it names none. */
export function databaseOf(adminUrl: string): string {
  return connectionOptions(keywordsIn(adminUrl)).database;
}

function derive(secret: Buffer, purpose: string): Buffer {
  return createHmac('sha256', secret).update(purpose).digest();
}

/** Returns a short name that is still unique. Postgres truncates names at 63 bytes without an error. */
function shorten(name: string, maxBytes: number): string {
  if (Buffer.byteLength(name) <= maxBytes) return name;
  let kept = '';
  for (const char of name) {
    if (Buffer.byteLength(kept + char) > maxBytes - 9) break;
    kept += char;
  }
  return `${kept}_${digestOf(name)}`;
}

function digestOf(name: string): string {
  return createHash('sha256').update(name).digest('hex').slice(0, 8);
}
